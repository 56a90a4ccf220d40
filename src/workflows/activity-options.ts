/** Time-outs and retries of every activity. Nothing is left to the server's defaults. */
import { ActivityCancellationType, type ActivityOptions } from '@temporalio/workflow';

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
