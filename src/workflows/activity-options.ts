/** Time-outs and retries of every activity. Nothing is left to the server's defaults. */
import {
  ActivityCancellationType,
  type ActivityOptions,
  type LocalActivityOptions,
} from '@temporalio/workflow';

/** Sent every second, so fifteen missed ones mean that the process is gone, frozen or cut off. */
const heartbeatTimeout = '15s';

/** Without this a workflow is closed while rows still flow. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;

const backOff = { initialInterval: '1s', backoffCoefficient: 2 } as const;

/** How long a run may fail without any progress before it is given up. */
export const failureBudgetMs = 3_600_000;

/** Plans and opens a load: short, but it may wait for the source's transactions and for locks. */
export const prepareOptions: ActivityOptions = {
  startToCloseTimeout: '30m',
  scheduleToCloseTimeout: failureBudgetMs,
  heartbeatTimeout,
  cancellationType,
  retry: { ...backOff, maximumInterval: '5m' },
};

/**
 * Of a step that is tried inside of the workflow task, which reaches nobody else meanwhile: neither a pause nor a
 * cancellation. What takes longer, or fails, is an activity after all.
 */
export const localOptions: LocalActivityOptions = {
  startToCloseTimeout: '4s',
  cancellationType,
  retry: { maximumAttempts: 1 },
};

/** Between a local activity that has failed and the activity that follows it. */
export const afterLocalMs = 1_000;

/** Goes on where that has begun. */
export const afterLocal: Pick<ActivityOptions, 'retry'> = {
  retry: { ...backOff, initialInterval: 2 * afterLocalMs, maximumInterval: '5m' },
};

/** Loads with more rows are published by an activity from the start. */
export const maxLocalFinishRows = 50_000;

/**
 * An attempt says itself when it stops (`yielded`), so the time-out is only there for one that is beyond saying
 * anything. Only attempts that died are retried by the server; what went wrong otherwise comes back to the workflow,
 * which keeps the failure budget.
 */
export const copyOptions: ActivityOptions = {
  startToCloseTimeout: '7d',
  heartbeatTimeout,
  cancellationType,
  retry: { ...backOff, maximumInterval: '30s', maximumAttempts: 5 },
};

/** Publishes, perhaps all rows of a load at once; it may wait for locks of the target's readers. */
export const finishOptions: ActivityOptions = {
  startToCloseTimeout: '6h',
  scheduleToCloseTimeout: '12h',
  heartbeatTimeout,
  cancellationType,
  retry: { ...backOff, maximumInterval: '5m' },
};

/** What has been decided is recorded, however long that takes: a run is not final before both databases know it. */
export const recordOptions: ActivityOptions = {
  startToCloseTimeout: '2m',
  heartbeatTimeout,
  cancellationType,
  retry: { ...backOff, maximumInterval: '1m' },
};

/** Our own upkeep: a stretch ends by itself; what cannot be reached within the hour is left to the next time. */
export const maintenanceOptions: ActivityOptions = {
  startToCloseTimeout: '10m',
  scheduleToCloseTimeout: '1h',
  heartbeatTimeout,
  cancellationType,
  retry: { ...backOff, maximumInterval: '5m' },
};
