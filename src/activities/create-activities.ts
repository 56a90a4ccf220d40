/** The activities of a run, over ports: each does one thing, may be repeated, and tells its errors by code. */
import { ApplicationFailure, Context } from '@temporalio/activity';
import { finishRun, publishLimitsOf } from '../copy/finish-run.ts';
import { callOf } from '../copy/epoch.ts';
import { prepareLoad } from '../copy/prepare-load.ts';
import { describeError } from '../domain/describe-error.ts';
import { hasCode, PenstockError } from '../domain/errors.ts';
import type { LoadId, RunId } from '../domain/ids.ts';
import { isFinal } from '../domain/run-states.ts';
import { parseDurationMs } from '../domain/duration-spec.ts';
import type { Destination } from '../ports/destination.ts';
import type { RunStep, RunWork } from '../ports/run-store.ts';
import type { Source } from '../ports/source.ts';
import { closeRun, recordEnd } from './close-run.ts';
import type {
  CancelInput,
  CopyActivities,
  FailInput,
  FinishedLoad,
  FinishInput,
  PreparedRun,
  RunActivities,
  RunNow,
  RunRef,
} from './contract.ts';
import { copyPartitionActivity } from './copy-partition-activity.ts';
import type { ActivityDeps } from './deps.ts';
import { beat } from './heartbeat.ts';
import { logUnexpected, toFailure } from './to-failure.ts';

/** The short activities. */
export function createRunActivities(deps: ActivityDeps): RunActivities {
  return {
    prepareRun: (input) => beside(deps, 'prepare', input, () => prepare(deps, input.runId as RunId)),
    finishRun: (input) => beside(deps, 'finish', input, () => finish(deps, input)),
    pauseRun: (input) => beside(deps, 'close', input, () => pause(deps, input)),
    failRun: (input) => beside(deps, 'close', input, () => fail(deps, input)),
    cancelRun: (input) => beside(deps, 'close', input, () => cancel(deps, input)),
  };
}

/** The long one. */
export const createCopyActivities = (deps: ActivityDeps): CopyActivities => ({
  copyPartition: (input) => copyPartitionActivity(deps, input),
});

async function prepare(deps: ActivityDeps, runId: RunId): Promise<PreparedRun> {
  const work = await deps.runs.prepare(runId);
  if (work.status !== 'running') return { ready: false, status: work.status };
  const source = deps.openSource({ ...work.source, ...untilReplaced() });
  const destination = deps.openDestination({ ...work.destination, ...untilReplaced() });
  try {
    if (await isUnchanged(deps, work, source)) {
      const status = await closeRun(deps, work, { status: 'cancelled', reason: 'unchanged' });
      return { ready: false, status };
    }
    const load = await prepareLoad(
      { source, destination },
      {
        run: work.runId,
        sync: work.syncId,
        syncVersion: work.syncVersion,
        spec: work.spec,
        window: work.window ?? undefined,
        signal: Context.current().cancellationSignal,
      },
    );
    if (load.schemaChange) await deps.runs.note(runId, 'run.schema_changed', { ...load.schemaChange });
    const { parallel, maxDuration } = work.spec.limits;
    const maxDurationMs = maxDuration === undefined ? undefined : parseDurationMs(maxDuration);
    return {
      ready: true,
      loadId: load.loadId,
      partitions: [...load.partitions],
      parallel,
      continued: load.continued,
      lastCall: callOf(load.lastEpoch),
      ...(maxDurationMs !== undefined && { maxDurationMs }),
    };
  } catch (error) {
    throw (await isBeingReleased(deps, error)) ? beingReleased(work.spec.destination.table) : error;
  } finally {
    await Promise.allSettled([source.close(), destination.close()]);
  }
}

/** Whether a scheduled run finds its source as the run before has left it. Whoever asks for a run gets one. */
async function isUnchanged({ runs }: ActivityDeps, work: RunWork, source: Source): Promise<boolean> {
  const { skipIfUnchanged } = work.spec;
  if (skipIfUnchanged === undefined) return false;
  const unchanged = await runs.noteFingerprint(work.runId, await source.fetchFingerprint(skipIfUnchanged));
  return unchanged && (work.origin === 'schedule' || work.origin === 'after');
}

/** Whether the table is still a deleted sync's: it gives it up as soon as its runs have ended and its destination answers. */
async function isBeingReleased({ runs }: ActivityDeps, error: unknown): Promise<boolean> {
  const owner = hasCode(error, 'TARGET_OWNED') ? (error as PenstockError).meta?.['owner'] : undefined;
  return typeof owner === 'string' && (await runs.isSyncDeleted(owner));
}

const beingReleased = (table: string): PenstockError =>
  new PenstockError(
    'DESTINATION_BUSY',
    `The table ${table} is still held by a sync that was deleted, and is about to be given up.`,
  );

async function finish(deps: ActivityDeps, { runId, loadId }: FinishInput): Promise<FinishedLoad> {
  const work = await deps.runs.fetchWork(runId as RunId);
  const destination = deps.openDestination({ ...work.destination, ...untilReplaced() });
  try {
    const finished = await finishRun(destination, {
      run: work.runId,
      load: loadId as LoadId,
      limits: publishLimitsOf(work.spec),
      signal: Context.current().cancellationSignal,
    });
    if (finished.outcome === 'stale') return { outcome: 'stale', rows: 0, batches: 0, bytes: 0 };
    const { read: rows, batches, bytes } = finished.load;
    if (finished.outcome === 'another') return { outcome: 'another', rows, batches, bytes };
    const status = await deps.runs.succeed(work.runId, finished.receipt, finished.loads);
    if (Math.random() < 1 / runsPerCleanUp) await cleanUp(deps, destination);
    return { outcome: status === 'succeeded' ? 'succeeded' : 'stale', rows, batches, bytes };
  } finally {
    await destination.close();
  }
}

/** A local activity whose time is over is followed by another at once: what it still waits for is cut off. */
function untilReplaced(): { signal?: AbortSignal } {
  const { info, cancellationSignal } = Context.current();
  return info.isLocal ? { signal: cancellationSignal } : {};
}

/** How many runs end until one of them cleans up: to look for what is old costs as much as a small run itself. */
const runsPerCleanUp = 10;

/** What is not forgotten now is forgotten another time. */
async function cleanUp({ logger }: ActivityDeps, destination: Destination): Promise<void> {
  try {
    await destination.cleanUp();
  } catch (err) {
    logger.warn({ err }, 'finish: old loads are not forgotten');
  }
}

const pause = async (deps: ActivityDeps, { runId }: RunRef): Promise<RunNow> => ({
  status: await deps.runs.settlePause(runId as RunId),
});

async function cancel(deps: ActivityDeps, { runId, reason }: CancelInput): Promise<RunNow> {
  const work = await deps.runs.fetchWork(runId as RunId);
  if (isFinal(work.status)) return { status: work.status };
  return { status: await closeRun(deps, work, { status: 'cancelled', ...(reason && { reason }) }) };
}

/**
 * A run that never had a writer fails also when its destination cannot be asked (a wrong password is often why it
 * fails); for any other the activity throws, and is tried again until the destination knows.
 */
async function fail(deps: ActivityDeps, { runId, failure, mayHaveWriters }: FailInput): Promise<RunNow> {
  const wanted = { status: 'failed', failure } as const;
  try {
    const work = await deps.runs.fetchWork(runId as RunId);
    return { status: isFinal(work.status) ? work.status : await closeRun(deps, work, wanted) };
  } catch (error) {
    if (mayHaveWriters) throw error;
    deps.logger.info(
      { err: error, run: runId },
      'the run fails without its destination, where it never wrote',
    );
    return { status: await recordEnd(deps.runs, runId as RunId, undefined, wanted) };
  }
}

/** Runs the work with heartbeats beside it; makes its errors fit for the history, and shows those that are tried again. */
async function beside<T>(
  { logger, runs }: ActivityDeps,
  step: RunStep,
  { runId }: RunRef,
  work: () => Promise<T>,
): Promise<T> {
  const context = Context.current();
  const stopBeating = beat(context);
  try {
    return await work();
  } catch (error) {
    if (context.cancellationSignal.aborted) throw context.cancellationSignal.reason;
    logUnexpected(logger, error, { workflow: context.info.workflowExecution?.workflowId });
    const failure = step === 'close' ? toRecordFailure(error) : toFailure(error);
    if (!(failure instanceof ApplicationFailure && failure.nonRetryable))
      await runs
        .noteRetry(runId as RunId, step, describeError(error))
        .catch((err: unknown) => logger.debug({ err, run: runId }, 'a failure is not shown for now'));
    throw failure;
  } finally {
    stopBeating();
  }
}

/** What has been decided is recorded sooner or later, unless the run does not exist at all. */
const toRecordFailure = (error: unknown): Error =>
  hasCode(error, 'NOT_FOUND') ? toFailure(error) : toFailure(error, { nonRetryable: false });
