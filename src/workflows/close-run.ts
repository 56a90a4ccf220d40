/** The end of a run that does not succeed: recorded in both databases, whatever is asked meanwhile, and then shown. */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  proxyActivities,
  type TemporalFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { RunActivities } from '../activities/contract.ts';
import type { Failure } from '../domain/describe-error.ts';
import { codeOf, retryClassOf } from '../domain/errors.ts';
import { isFinal, type RunStatus } from '../domain/run-states.ts';
import { recordOptions } from './activity-options.ts';
import { enter, publishStatus, type RunState } from './run-state.ts';
import { onStepQueue } from './short-steps.ts';

const record = (run: RunState, summary: string) =>
  proxyActivities<RunActivities>({ ...recordOptions, ...onStepQueue(run), summary });

/** Makes the run cancelled; `succeeded` when its load was found done. */
export function closeAsCancelled(run: RunState): Promise<RunStatus> {
  enter(run, 'closing');
  return CancellationScope.nonCancellable(async () => {
    const { status } = await record(run, 'cancelled').cancelRun({
      runId: run.runId,
      ...(run.overdue && { reason: 'max_duration' }),
    });
    return ended(run, status);
  });
}

/** Makes the run failed; `succeeded` when its load was found done, `cancelled` when that was asked meanwhile. */
export function closeAsFailed(run: RunState, failure: Failure): Promise<RunStatus> {
  enter(run, 'closing');
  return CancellationScope.nonCancellable(async () => {
    const { status } = await record(run, `failed: ${failure.code}`).failRun({
      runId: run.runId,
      failure,
      mayHaveWriters: run.mayHaveWriters,
    });
    return ended(run, status, failure.code);
  });
}

function ended(run: RunState, status: RunStatus, code?: string): RunStatus {
  if (isFinal(status)) enter(run, status);
  publishStatus(run, status, status === 'failed' ? code : undefined);
  return status;
}

/** A failure as people and programs should see it: the code of our table, and what the activity said. */
export function describeFailure(error: TemporalFailure): Failure {
  const cause = error instanceof ActivityFailure ? (error.cause ?? error) : error;
  if (cause instanceof TimeoutFailure)
    return { code: 'WORKER_LOST', message: 'no worker finished it within the time that it may take' };
  if (cause instanceof CancelledFailure)
    return { code: 'INTERNAL', message: 'an activity was cancelled by somebody else' };
  const code = cause instanceof ApplicationFailure ? codeOf({ code: cause.type }) : 'INTERNAL';
  const { message } = cause;
  return retryClassOf(code) === 'never'
    ? { code, message }
    : { code: 'BUDGET_SPENT', message: `tried until the failure budget was spent: ${code}: ${message}` };
}
