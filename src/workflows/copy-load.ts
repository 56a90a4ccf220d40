/**
 * The copying of one load: its partitions' numbers go through n slots, and each is called until it is finished. A
 * partition may fail for as long as the failure budget allows; whatever it commits meanwhile starts the budget again.
 */
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  proxyActivities,
  sleep,
  TimeoutFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { CopyActivities, CopyHeartbeat, CopyOutcome, PreparedRun } from '../activities/contract.ts';
import { copyOptions, failureBudgetMs } from './activity-options.ts';
import { isSpent, noteFailure, retryDelayMs } from '../domain/failure-budget.ts';
import { interruptible } from './interruptible.ts';
import { copyQueueOf } from './names.ts';
import type { PartitionProgress } from './run-progress.ts';
import { noCounts, type RunState, show } from './run-state.ts';

type ReadyRun = Extract<PreparedRun, { ready: true }>;

/**
 * - `copied`: every partition is finished.
 * - `interrupted`: ended early, after the batches in hand: a pause, a cancellation, or the history is long.
 * - `stale`: the load is not this attempt's any more: prepare again.
 */
export type CopyEnd = 'copied' | 'interrupted' | 'stale';

/** Copies what is left of the load. Throws the first failure that is not to be tried again, once all slots are idle. */
export async function copyLoad(run: RunState, load: ReadyRun): Promise<CopyEnd> {
  run.partitions = load.partitions.map((partition) => ({
    partition,
    state: 'waiting',
    calls: 0,
    ...noCounts,
  }));
  run.failing.clear();
  run.call = Math.max(run.call, load.lastCall ?? 0);
  run.mayHaveWriters = true;
  run.copyingSinceMs = Date.now();
  try {
    const ends = await interruptible(run, () => withinDuration(run, load, () => fillSlots(run, load)));
    if (ends !== 'interrupted' && ends.includes('stale')) return 'stale';
    return ends === 'interrupted' || ends.includes('interrupted') ? 'interrupted' : 'copied';
  } finally {
    run.workedMs += Date.now() - run.copyingSinceMs;
    delete run.copyingSinceMs;
  }
}

/** Ends the work in hand when the run has worked for longer than it may. */
async function withinDuration<T>(run: RunState, load: ReadyRun, work: () => Promise<T>): Promise<T> {
  if (load.maxDurationMs === undefined) return await work();
  const leftMs = Math.max(load.maxDurationMs - run.workedMs, 0);
  const timer = new CancellationScope();
  const watch = timer.run(async () => {
    await sleep(leftMs, { summary: 'max duration' });
    run.overdue = true;
    run.inHand?.cancel();
  });
  watch.catch(() => undefined);
  try {
    return await work();
  } finally {
    timer.cancel();
  }
}

async function fillSlots(run: RunState, load: ReadyRun): Promise<CopyEnd[]> {
  const waiting = [...run.partitions];
  const slots = Array.from({ length: Math.min(load.parallel, waiting.length) }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const end = await copyUntilFinished(run, load, next);
      if (end !== 'copied') return end;
    }
    return 'copied';
  });
  const settled = await Promise.allSettled(slots);
  for (const slot of settled) if (slot.status === 'rejected') throw slot.reason;
  return settled.map((slot) => (slot as PromiseFulfilledResult<CopyEnd>).value);
}

/** Calls one partition until it is finished. Whatever else ends it makes the other slots end, too. */
async function copyUntilFinished(
  run: RunState,
  load: ReadyRun,
  partition: PartitionProgress,
): Promise<CopyEnd> {
  try {
    for (;;) {
      const outcome = await callCopy(run, load, partition);
      const progressed = takeCounts(partition, outcome);
      if (progressed) {
        run.failing.delete(partition.partition);
        delete run.stale;
      }
      if (outcome.outcome === 'finished') {
        partition.state = 'finished';
        run.failing.delete(partition.partition);
        show(run);
        return 'copied';
      }
      if (outcome.outcome !== 'yielded') {
        run.inHand?.cancel();
        return 'stale';
      }
      if (outcome.failure) await backOff(run, partition, outcome.failure, progressed);
      if (workflowInfo().continueAsNewSuggested) run.inHand?.cancel();
      if (run.inHand?.consideredCancelled) return 'interrupted';
    }
  } catch (error) {
    const asked = run.inHand?.consideredCancelled;
    run.inHand?.cancel();
    if (asked && isCancellation(error)) return 'interrupted';
    throw error;
  }
}

async function callCopy(run: RunState, load: ReadyRun, partition: PartitionProgress): Promise<CopyOutcome> {
  run.call += 1;
  partition.calls += 1;
  partition.state = 'copying';
  show(run);
  const { copyPartition } = proxyActivities<CopyActivities>({
    ...copyOptions,
    taskQueue: copyQueueOf(workflowInfo().taskQueue, run.workerClass),
    summary: `partition ${partition.partition} of ${load.partitions.length}, from batch ${partition.batches + 1}`,
  });
  try {
    return await copyPartition({
      runId: run.runId,
      loadId: load.loadId,
      partition: partition.partition,
      call: run.call,
      turn: partition.calls,
    });
  } catch (error) {
    const timeout = error instanceof ActivityFailure ? error.cause : undefined;
    if (timeout instanceof TimeoutFailure) return outcomeOfLost(timeout);
    throw error;
  }
}

/** Several attempts in a row died without a word; what the last of them had committed may be in its heartbeat. */
function outcomeOfLost(timeout: TimeoutFailure): CopyOutcome {
  const last = (timeout.lastHeartbeatDetails ?? {}) as Partial<CopyHeartbeat>;
  const { rows, batches = 0, bytes = 0, lastBatchAt } = last;
  return {
    outcome: 'yielded',
    ...noCounts,
    failure: {
      code: 'WORKER_LOST',
      message: 'the workers that copied it stopped answering, several in a row',
    },
    ...(typeof rows === 'number' && { total: { rows, batches, bytes } }),
    ...(lastBatchAt !== undefined && { lastBatchAt }),
  };
}

/** Takes over where the partition stands; whether it ever got that far before: a load that begins again may not. */
function takeCounts(partition: PartitionProgress, outcome: CopyOutcome): boolean {
  const { rows, batches, bytes } = outcome.total ?? partition;
  const { reached = 0 } = partition;
  Object.assign(partition, { rows, batches, bytes, reached: Math.max(reached, batches) });
  if (outcome.lastBatchAt !== undefined) partition.lastBatchAt = outcome.lastBatchAt;
  return outcome.total ? batches > reached : outcome.batches > 0;
}

async function backOff(
  run: RunState,
  partition: PartitionProgress,
  failure: NonNullable<CopyOutcome['failure']>,
  progressed: boolean,
): Promise<void> {
  const nowMs = Date.now();
  const failing = noteFailure(run.failing.get(partition.partition), failure, { nowMs, progressed });
  run.failing.set(partition.partition, failing);
  if (isSpent(failing, nowMs, failureBudgetMs)) throw spent(failure);
  partition.state = 'retrying';
  show(run);
  await sleep(retryDelayMs(failing), { summary: `back-off: ${failure.code}` });
}

/** The failure that ends a run whose budget is spent. */
export const spent = ({ code, message }: NonNullable<CopyOutcome['failure']>): ApplicationFailure =>
  ApplicationFailure.nonRetryable(
    `no progress for ${failureBudgetMs / 60_000} minutes: ${code}: ${message}`,
    'BUDGET_SPENT',
  );
