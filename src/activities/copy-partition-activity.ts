/** The long activity: one attempt at one partition, with its heartbeat, its row and its ways to stop. */
import { CancelledFailure, Context } from '@temporalio/activity';
import { attemptLimits } from '../copy/attempt-limits.ts';
import { copyPartition, type CopyResult } from '../copy/copy-partition.ts';
import { epochOf } from '../copy/epoch.ts';
import { describeError } from '../domain/describe-error.ts';
import { retryClassOf } from '../domain/errors.ts';
import type { LoadId, RunId } from '../domain/ids.ts';
import { isFinal } from '../domain/run-states.ts';
import type { AttemptEnd, RunWork } from '../ports/run-store.ts';
import { type AttemptRecord, followAttempt } from './attempt-record.ts';
import type { CopyInput, CopyOutcome } from './contract.ts';
import type { ActivityDeps } from './deps.ts';
import { beat } from './heartbeat.ts';
import { type StopSignals, watchStop } from './stop-signals.ts';
import { logUnexpected, toFailure } from './to-failure.ts';

const nothing = { rows: 0, batches: 0, bytes: 0 };

/** Copies until the partition is complete or it should stop. Throws only what is not to be tried again, and cancellations. */
export async function copyPartitionActivity(deps: ActivityDeps, input: CopyInput): Promise<CopyOutcome> {
  const context = Context.current();
  const key = {
    runId: input.runId as RunId,
    partition: input.partition,
    epoch: epochOf(input.call, context.info.currentAttemptScheduledTimestampMs),
  };
  const attempt = followAttempt(key, deps.runs, deps.logger);
  const stop = watchStop(context, deps.drain, (how) =>
    deps.logger.info({ ...key, how }, 'attempt: told to stop'),
  );
  const stopBeating = beat(context, () => {
    attempt.report();
    return attempt.describe();
  });
  try {
    const work = await attempt.begin(deps.workerName);
    if (isFinal(work.status)) return { outcome: 'fenced', ...nothing };
    const result = await copy(deps, { input, epoch: key.epoch, work, attempt, stop });
    await attempt.end(endOf(result));
    if (result.outcome === 'yielded' && stop.isPausedByOperator()) throw context.cancellationSignal.reason;
    return outcomeOf(result, attempt);
  } catch (error) {
    if (!stop.signal.aborted) logUnexpected(deps.logger, error, key);
    return await endByError(error, attempt, stop);
  } finally {
    stopBeating();
    if (stop.isPausedByOperator()) await askForLook(deps, key.runId);
    stop.dispose();
  }
}

/** The pause shows in the run's answer as soon as a dispatcher has asked Temporal whose it is: soon, also while the run moves. */
async function askForLook({ runs, logger }: ActivityDeps, runId: RunId): Promise<void> {
  await runs
    .askForLook(runId)
    .catch((err: unknown) => logger.debug({ err, run: runId }, 'no look is asked for'));
}

interface Attempt {
  input: CopyInput;
  epoch: string;
  work: RunWork;
  attempt: AttemptRecord;
  stop: StopSignals;
}

async function copy(deps: ActivityDeps, { input, epoch, work, attempt, stop }: Attempt): Promise<CopyResult> {
  const { signal } = stop;
  // A server may sit in a lock or a merge for a minute: a hard stop cuts the connections to it.
  const source = deps.openSource({ ...work.source, signal });
  const destination = deps.openDestination({ ...work.destination, signal });
  try {
    return await copyPartition(
      { source, destination },
      {
        run: work.runId,
        load: input.loadId as LoadId,
        partition: input.partition,
        epoch,
        ...attemptLimits(work.spec, input.turn),
        rowTimeoutMs: deps.rowTimeoutMs,
        pace: attempt.pace,
        signal,
        drain: () => stop.isStopping(),
        onProgress: (total) => attempt.note(total),
      },
    );
  } finally {
    await Promise.allSettled([source.close(), destination.close()]);
  }
}

/**
 * An error without any progress, or one that is never to be tried again: what passes by itself goes back to the
 * workflow, which keeps the failure budget.
 */
async function endByError(error: unknown, attempt: AttemptRecord, stop: StopSignals): Promise<CopyOutcome> {
  if (stop.signal.aborted || error instanceof CancelledFailure) {
    await attempt.end({ outcome: 'cancelled', ...attempt.committed });
    throw stop.signal.aborted ? stop.signal.reason : error;
  }
  const failure = describeError(error);
  const again = retryClassOf(failure.code);
  if (again === 'fenced') {
    await attempt.end({ outcome: 'fenced', ...nothing });
    return { outcome: 'fenced', ...nothing };
  }
  const errorClass = again === 'never' ? 'persistent' : 'transient';
  await attempt.end({ outcome: 'failed', ...attempt.committed, error: { ...failure, class: errorClass } });
  if (again === 'never') throw toFailure(error);
  return { outcome: 'yielded', ...nothing, failure, ...(attempt.total && { total: attempt.total }) };
}

function endOf({ outcome, rows, batches, bytes, error }: CopyResult): AttemptEnd {
  const counts = { rows, batches, bytes };
  if (error) return { outcome: 'failed', ...counts, error: { ...error, class: 'transient' } };
  return { outcome: outcome === 'lost' ? 'fenced' : outcome, ...counts };
}

function outcomeOf(
  { outcome, rows, batches, bytes, error }: CopyResult,
  { total, lastBatchAt }: AttemptRecord,
): CopyOutcome {
  return {
    outcome,
    rows,
    batches,
    bytes,
    ...(error && { failure: error }),
    ...(total && { total }),
    ...(lastBatchAt !== undefined && { lastBatchAt }),
  };
}
