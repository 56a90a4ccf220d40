/** What ends a run, or one attempt of it, whatever the two databases say. */
import type { ErrorEntry } from './error-entry.ts';

export const runErrors = {
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
