/** What a request, or the spec in it, is refused for. */
import type { ErrorEntry } from './error-entry.ts';

export const requestErrors = {
  BAD_REQUEST: {
    status: 400,
    retry: 'never',
    title: 'The request is not valid',
    cure: 'Correct the member that `pointer` names.',
  },
  UNAUTHENTICATED: {
    status: 401,
    retry: 'never',
    title: 'No valid API key',
    cure: 'Send `Authorization: Bearer <key>` with a key that is neither revoked nor expired.',
  },
  FORBIDDEN: {
    status: 403,
    retry: 'never',
    title: 'The key may not do this',
    cure: 'Use a key whose role allows it.',
  },
  NOT_FOUND: {
    status: 404,
    retry: 'never',
    title: 'There is no such thing',
    cure: 'Check the id or name, and that it belongs to the tenant of your key.',
  },
  CONFLICT: {
    status: 409,
    retry: 'never',
    title: 'It conflicts with what is there',
    cure: 'Read the current state and decide again.',
  },
  VERSION_CONFLICT: {
    status: 412,
    retry: 'never',
    title: 'It was changed meanwhile',
    cure: 'Read it again and send its current ETag in If-Match.',
  },
  IDEMPOTENCY_MISMATCH: {
    status: 422,
    retry: 'never',
    title: 'The idempotency key was used for another request',
    cure: 'Use a new Idempotency-Key for a different body.',
  },
  RUN_STATE: {
    status: 409,
    retry: 'never',
    title: 'The run is not in a state that allows this',
    cure: 'Read the run; only the listed changes are possible.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retry: 'never',
    title: 'The body is too large',
    cure: 'Send at most 1 MiB.',
  },
  MEDIA_TYPE: {
    status: 415,
    retry: 'never',
    title: 'The body is of a type that is not understood',
    cure: 'Send JSON, with `Content-Type: application/json`.',
  },
  HOST_NOT_ALLOWED: {
    status: 400,
    retry: 'never',
    title: 'The host lies in a network that connections may not reach',
    cure: 'Use a public address, or have the operator list the network in PENSTOCK_ALLOWED_NETWORKS.',
  },
  SCHEDULE_INVALID: {
    status: 400,
    retry: 'never',
    title: 'The schedule is not valid',
    cure: 'Correct the member that `pointer` names.',
  },
  SCHEDULE_NEVER_FIRES: {
    status: 400,
    retry: 'never',
    title: 'The schedule never fires',
    cure: 'Choose days and months that exist together, and bounds and exclusions that leave some of them.',
  },
  SCHEDULE_TOO_OFTEN: {
    status: 400,
    retry: 'never',
    title: 'The schedule is due too often',
    cure: 'Choose times that are farther apart, or ask the operator for a smaller minInterval of the tenant.',
  },
  UNKNOWN_ZONE: {
    status: 400,
    retry: 'never',
    title: 'There is no such time zone',
    cure: 'Use an IANA name such as Europe/Berlin.',
  },
  NOT_BACKFILLABLE: {
    status: 409,
    retry: 'never',
    title: 'The sync cannot be backfilled',
    cure: 'Reset the sync, and its next run reads everything; or make it an upsert with a cursor.',
  },
} as const satisfies Record<string, ErrorEntry>;
