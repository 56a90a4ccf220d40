/** What keeps rows from being read. */
import type { ErrorEntry } from './error-entry.ts';

export const sourceErrors = {
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
} as const satisfies Record<string, ErrorEntry>;
