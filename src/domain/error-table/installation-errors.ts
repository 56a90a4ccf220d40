/** What is wrong with the installation itself: its options, the servers that it stands on, those that it starts. */
import type { ErrorEntry } from './error-entry.ts';

export const installationErrors = {
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
  ENGINE_UNREACHABLE: {
    status: 503,
    retry: 'backoff',
    title: 'Temporal is unreachable',
    cure: 'Runs stay queued and start when it is back.',
  },
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
} as const satisfies Record<string, ErrorEntry>;
