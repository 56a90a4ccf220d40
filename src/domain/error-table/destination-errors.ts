/** What keeps rows from being written, and what the destination remembers of earlier loads. */
import type { ErrorEntry } from './error-entry.ts';

export const destinationErrors = {
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
} as const satisfies Record<string, ErrorEntry>;
