/**
 * The one table of errors: what a code means, its HTTP status, how the engine treats it and what the reader should
 * do. The docs page and the API's problem types are generated from it. Compare by `code`, never by `instanceof`:
 * an error that crossed a process keeps its code and nothing else.
 */

/**
 * How a running sync treats the error:
 * - `never`: somebody has to change something; the run fails at once, with the cure in its message.
 * - `backoff`: passes by itself; tried again with back-off inside the failure budget.
 * - `fenced`: this attempt has been replaced; it stops without a word and the workflow calls again.
 */
export type RetryClass = 'never' | 'backoff' | 'fenced';

interface ErrorEntry {
  readonly status: number;
  readonly retry: RetryClass;
  readonly title: string;
  /** What to change. */
  readonly cure: string;
}

export const errorTable = {
  // requests
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
  INTERNAL: {
    status: 500,
    retry: 'backoff',
    title: 'Something in Penstock failed',
    cure: 'Quote the request id to the operators.',
  },
  UNAVAILABLE: {
    status: 503,
    retry: 'backoff',
    title: 'A dependency is unreachable',
    cure: 'Try again; `/readyz` says which one.',
  },
  CONFIG: {
    status: 500,
    retry: 'never',
    title: 'The configuration is not valid',
    cure: 'Correct the named option.',
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
  ENGINE_UNREACHABLE: {
    status: 503,
    retry: 'backoff',
    title: 'Temporal is unreachable',
    cure: 'Runs stay queued and start when it is back.',
  },
  // embedded servers
  SERVER_MISSING: {
    status: 500,
    retry: 'never',
    title: 'A server program was not found and could not be installed',
    cure: 'Install it as the message says.',
  },
  SERVER_FAILED: {
    status: 500,
    retry: 'never',
    title: 'An embedded server did not start',
    cure: 'Read the end of its log in the message.',
  },
  DATA_DIR_IN_USE: {
    status: 500,
    retry: 'never',
    title: 'Another process uses the data folder',
    cure: 'Stop it, or choose another folder with --data-dir.',
  },
  // source
  SOURCE_THROTTLED: {
    status: 503,
    retry: 'backoff',
    title: 'The source asks for less',
    cure: 'Lower maxRuns or startsPerMinute of the connection; no run of it starts for a minute.',
  },
  SOURCE_UNREACHABLE: {
    status: 422,
    retry: 'backoff',
    title: 'The source database cannot be reached',
    cure: 'Check host, port, network and TLS mode of the connection.',
  },
  SOURCE_AUTH: {
    status: 422,
    retry: 'never',
    title: 'The source refused the login',
    cure: 'Correct user or password of the connection.',
  },
  SOURCE_PERMISSION: {
    status: 422,
    retry: 'never',
    title: 'The source login may not read this',
    cure: 'Grant select on the named object to the login.',
  },
  SOURCE_SQL: {
    status: 422,
    retry: 'never',
    title: 'The source refused the query',
    cure: 'Correct the query at the named position.',
  },
  SOURCE_INTERRUPTED: {
    status: 422,
    retry: 'backoff',
    title: 'The source ended the statement',
    cure: 'It is tried again; if it recurs, look at time-outs and restarts of the source.',
  },
  SOURCE_STALLED: {
    status: 422,
    retry: 'backoff',
    title: 'The source stopped sending rows',
    cure: 'It is tried again; raise rowTimeout if the query is that slow.',
  },
  END_NOT_PROVEN: {
    status: 422,
    retry: 'backoff',
    title: 'The end of the result was not proven',
    cure: 'It is tried again; nothing was published.',
  },
  QUERY_NOT_ALLOWED: {
    status: 400,
    retry: 'never',
    title: 'Only one SELECT statement is allowed',
    cure: 'Send a single SELECT without INTO or data-changing WITH.',
  },
  NOT_COMPARABLE: {
    status: 400,
    retry: 'never',
    title: 'Sources of this kind cannot be compared',
    cure: 'Compare by a query of your own: the source has no hash of its rows that the destination has as well.',
  },
  NOT_RESUMABLE: {
    status: 400,
    retry: 'never',
    title: 'The query cannot be resumed',
    cure: 'Give the sync a key of non-null columns of the result, of types whose equal values are written the same.',
  },
  KEY_TIE_TOO_LARGE: {
    status: 422,
    retry: 'never',
    title: 'Too many rows share one key',
    cure: 'Use a key that is unique, or a larger batch.',
  },
  KEY_NULL: {
    status: 422,
    retry: 'never',
    title: 'A key column is NULL',
    cure: 'Filter NULL keys out in the query, or choose another key.',
  },
  CURSOR_NULL: {
    status: 422,
    retry: 'never',
    title: 'The cursor column is NULL in some rows',
    cure: 'Filter them out in the query, or use mode upsert, which reads them in every run.',
  },
  ROW_TOO_LARGE: {
    status: 422,
    retry: 'never',
    title: 'A row is larger than the limit',
    cure: 'Leave the large column out of the query.',
  },
  // destination
  DESTINATION_UNREACHABLE: {
    status: 422,
    retry: 'backoff',
    title: 'The destination database cannot be reached',
    cure: 'Check host, port, network and TLS mode of the connection.',
  },
  DESTINATION_AUTH: {
    status: 422,
    retry: 'never',
    title: 'The destination refused the login',
    cure: 'Correct user or password of the connection.',
  },
  DESTINATION_PERMISSION: {
    status: 422,
    retry: 'never',
    title: 'The destination login may not write this',
    cure: 'Grant the named right to the login.',
  },
  DESTINATION_FULL: {
    status: 422,
    retry: 'backoff',
    title: 'The destination is out of disk',
    cure: 'Free space; the run goes on by itself.',
  },
  DESTINATION_BUSY: {
    status: 422,
    retry: 'backoff',
    title: 'The destination did not answer in time',
    cure: 'It is tried again; look at locks and load there.',
  },
  TARGET_MISMATCH: {
    status: 422,
    retry: 'never',
    title: 'The target table does not fit the result',
    cure: 'Change the query or the table as the message says.',
  },
  TARGET_OWNED: {
    status: 409,
    retry: 'never',
    title: 'Another sync owns the target',
    cure: 'Use another table, give both syncs a scope that tells their rows apart, or delete the other sync.',
  },
  TARGET_CHANGED: {
    status: 422,
    retry: 'never',
    title: 'The target table was replaced during the load',
    cure: 'Run the sync again: it reads anew. An append that has committed rows has to be reset first.',
  },
  SCHEMA_CHANGED: {
    status: 422,
    retry: 'never',
    title: 'The columns of the query or of the table have changed',
    cure: 'Make them fit again as the message says, or set onSchemaChange to add_columns; then run the sync again.',
  },
  TARGET_LOCKED: {
    status: 409,
    retry: 'backoff',
    title: 'Another session uses the target table',
    cure: 'It is tried again until the named session lets go; end that session if it never does.',
  },
  REPLACE_REFUSED: {
    status: 422,
    retry: 'never',
    title: 'The target table cannot be replaced',
    cure: 'Remove what the message names, or use mode mirror, which changes only the rows that differ.',
  },
  VALUE_REFUSED: {
    status: 422,
    retry: 'never',
    title: 'The destination refused a value',
    cure: 'Correct the value at the source, or the column or constraint that refuses it.',
  },
  ROWS_SWALLOWED: {
    status: 422,
    retry: 'never',
    title: 'A trigger or rule on the target swallowed rows',
    cure: 'Remove it, or let the sync write to another table.',
  },
  TOO_MANY_DELETES: {
    status: 422,
    retry: 'never',
    title: 'More rows would be deleted than the sync allows',
    cure: 'Look whether the source has lost rows. The next run reads it again; if they are to go, raise limits.maxDeletePercent first (100 allows everything).',
  },
  UNFINISHED_LOAD: {
    status: 409,
    retry: 'never',
    title: 'An earlier load of this sync is unfinished',
    cure: 'Reset the sync (load again) or accept what is there.',
  },
  LOAD_LOST: {
    status: 409,
    retry: 'backoff',
    title: 'The destination does not know the load',
    cure: 'It was restored to an older state; the run prepares again by itself.',
  },
  COMMIT_UNKNOWN: {
    status: 422,
    retry: 'backoff',
    title: 'The destination did not answer a commit',
    cure: 'Nothing to do: the checkpoint tells whether it happened.',
  },
  CURSOR_CHANGED: {
    status: 409,
    retry: 'never',
    title: 'The cursor belongs to another query, key or table',
    cure: 'Reset the sync, and every row is read again; or keep the cursor (`how: keep`) if it is right for what the sync reads now.',
  },
  CURSOR_MOVED: {
    status: 409,
    retry: 'backoff',
    title: 'Cursor or target changed while the load was opened',
    cure: 'It is tried again.',
  },
  NOT_BACKFILLABLE: { status: 409, retry: 'never', title: 'It cannot be backfilled', cure: 'Reset it.' },
  // engine
  FENCED: { status: 409, retry: 'fenced', title: 'This attempt has been replaced', cure: 'Nothing to do.' },
  RUN_FINAL: { status: 409, retry: 'fenced', title: 'The run is final', cure: 'Nothing to do.' },
  RECEIPT_MISMATCH: {
    status: 500,
    retry: 'never',
    title: 'The counts of the load do not add up',
    cure: 'Report it: this is a defect of Penstock. Nothing was published.',
  },
  WORKER_LOST: {
    status: 503,
    retry: 'backoff',
    title: 'The workers that did it stopped answering',
    cure: 'It is tried again; look for workers that were killed, run out of memory or cut off.',
  },
  WORKFLOW_GONE: {
    status: 409,
    retry: 'never',
    title: 'The workflow of the run is gone',
    cure: 'Trigger the sync again: it goes on after the last batch that was committed.',
  },
  BUDGET_SPENT: {
    status: 422,
    retry: 'never',
    title: 'No progress within the failure budget',
    cure: 'Mend the cause named in the message and trigger the sync again.',
  },
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof errorTable;

interface ErrorDetails {
  /** RFC 6901 pointer to the member of the request that is wrong. */
  pointer?: string;
  cause?: unknown;
  /** More of what a program needs: ids and numbers, never a row value or a secret. */
  meta?: Record<string, string | number | boolean | null>;
}

/** An error of the table. Its message says what happened and to what; the cure comes from the table. */
export class PenstockError extends Error {
  readonly code: ErrorCode;
  readonly pointer: string | undefined;
  readonly meta: ErrorDetails['meta'];
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'PenstockError';
    this.code = code;
    this.pointer = details.pointer;
    this.meta = details.meta;
  }
}

/** The table's code of any thrown value; `INTERNAL` when it has none of ours. */
export function codeOf(error: unknown): ErrorCode {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'INTERNAL';
}

export const hasCode = (error: unknown, code: ErrorCode): boolean => codeOf(error) === code;

/** How a running sync treats it. */
export const retryClassOf = (code: ErrorCode): RetryClass => errorTable[code].retry;

/** What the reader should do about it. */
export const cureOf = (code: ErrorCode): string => errorTable[code].cure;

/** What happened and what to do, as sentences: for places that have one text only. */
export const withCure = (message: string, code: ErrorCode): string =>
  `${message.replace(/\.?$/, '.')} ${cureOf(code)}`;
