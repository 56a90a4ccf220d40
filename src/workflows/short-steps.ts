/**
 * The first and the last step of a run, which are nearly always over in a moment: tried as local activities, which spares the
 * server a task and several events each; as activities when that was not enough. Each may be repeated, so nothing is lost by
 * a second try.
 */
import {
  ActivityFailure,
  type ActivityOptions,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  sleep,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  FinishedLoad,
  FinishInput,
  PreparedRun,
  RunActivities,
  RunRef,
} from '../activities/contract.ts';
import {
  afterLocal,
  afterLocalMs,
  finishOptions,
  localOptions,
  maxLocalFinishRows,
  prepareOptions,
} from './activity-options.ts';
import { stepQueueOf } from './names.ts';
import type { RunState } from './run-state.ts';

const preparing = { summary: 'plan, open the load' };
const finishing = { summary: 'verify and publish' };
const { prepareRun: prepareLocally } = proxyLocalActivities<RunActivities>({ ...localOptions, ...preparing });
const { finishRun: finishLocally } = proxyLocalActivities<RunActivities>({ ...localOptions, ...finishing });

export function prepareRun(run: RunState, input: RunRef): Promise<PreparedRun> {
  const onServer: OnServer<PreparedRun> = (options) =>
    proxyActivities<RunActivities>({
      ...prepareOptions,
      ...options,
      ...onStepQueue(run),
      ...preparing,
    }).prepareRun(input);
  return run.localSteps ? locallyFirst(prepareLocally(input), onServer) : onServer();
}

/** Many rows are not published in a moment. */
export function finishRun(run: RunState, input: FinishInput): Promise<FinishedLoad> {
  const onServer: OnServer<FinishedLoad> = (options) =>
    proxyActivities<RunActivities>({
      ...finishOptions,
      ...options,
      ...onStepQueue(run),
      ...finishing,
    }).finishRun(input);
  const rows = run.partitions.reduce((sum, partition) => sum + partition.rows, 0);
  const isShort = run.localSteps && rows <= maxLocalFinishRows;
  return isShort ? locallyFirst(finishLocally(input), onServer) : onServer();
}

/** The queue whose workers reach the run's databases. */
export const onStepQueue = ({ workerClass }: RunState): Pick<ActivityOptions, 'taskQueue'> => ({
  taskQueue: stepQueueOf(workflowInfo().taskQueue, workerClass),
});

type OnServer<T> = (options?: Pick<ActivityOptions, 'retry'>) => Promise<T>;

async function locallyFirst<T>(first: Promise<T>, onServer: OnServer<T>): Promise<T> {
  try {
    return await first;
  } catch (error) {
    // What a local activity fails with is not wrapped.
    const cause = error instanceof ActivityFailure ? error.cause : error;
    if (cause instanceof TimeoutFailure || wasLeft(error)) return await onServer();
    if (!(cause instanceof ApplicationFailure) || cause.nonRetryable) throw error;
    await sleep(afterLocalMs, { summary: `back-off: ${cause.type}` });
    return await onServer(afterLocal);
  }
}

/** A worker that ends cancels what it has in hand, which nobody has asked for. */
const wasLeft = (error: unknown): boolean =>
  isCancellation(error) && !CancellationScope.current().consideredCancelled;
