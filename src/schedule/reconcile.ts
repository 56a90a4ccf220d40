/**
 * Reconciles rows with the engine: runs that should be cancelling are asked again; runs that have been silent, and those
 * whose workflow was there before they were started, are looked up, and made final when their workflow is gone, or no worker
 * is there to record that they are cancelled. Deleted syncs give up their tables. Apart from the sweep, because a destination
 * that does not answer may hold it up.
 */
import { codeOf } from '../domain/errors.ts';
import type { RunId, SyncId } from '../domain/ids.ts';
import type { FoundWorkflow, RunStarter } from '../ports/run-starter.ts';
import type { ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { RunAtWork, SilentRun, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface ReconcileDeps {
  readonly index: Pick<ScheduleAnnouncer, 'releaseRuns'>;
  readonly store: Pick<
    SweepStore,
    'fetchCancelling' | 'fetchSilentRuns' | 'noteSeen' | 'fetchReleases' | 'noteReleased' | 'postponeRelease'
  >;
  readonly starter: Pick<RunStarter, 'describe' | 'hasWorker' | 'cancel' | 'terminate' | 'pause' | 'resume'>;
  readonly log: Logger;
  /** Makes a run final that its workflow does not, in the destination first; without it such runs are only reported. */
  readonly closeRun?: ((runId: RunId) => Promise<void>) | undefined;
  /** Gives up the tables of a deleted sync in its destinations. */
  readonly releaseSync?: ((syncId: SyncId) => Promise<void>) | undefined;
}

interface ReconcileOptions {
  /** A run that has been `cancelling` for longer is asked to cancel again. */
  readonly cancelAgainMs: number;
  /** A run whose row has not moved for longer is looked up in the engine. */
  readonly silentMs: number;
  /** Runs `starting` whose workflow was there already. */
  readonly met: readonly RunAtWork[];
}

/** Runs looked up, or made final, at once: one destination that is away does not hold up the others. */
const concurrency = 10;

/** Does each part once. @throws PenstockError ENGINE_UNREACHABLE when the engine does not answer */
export async function reconcile(deps: ReconcileDeps, options: ReconcileOptions): Promise<void> {
  const { store, starter } = deps;
  const cancelling = await store.fetchCancelling(options.cancelAgainMs);
  await inParallel(cancelling, async ({ workflowId }) => void (await starter.cancel(workflowId)));
  const met = options.met.map((run): SilentRun => ({
    ...run,
    status: 'starting',
    workerClass: null,
    lookAt: null,
  }));
  const silent = await store.fetchSilentRuns(options.silentMs);
  await inParallel([...met, ...silent], (run) => lookUp(deps, run));
  await releaseSyncs(deps, options.silentMs);
}

/** Whatever happens, the row knows: what a destination that is away does not let go is tried again. */
async function releaseSyncs({ store, releaseSync, log }: ReconcileDeps, againMs: number): Promise<void> {
  if (!releaseSync) return;
  await inParallel(await store.fetchReleases(), async (sync) => {
    try {
      await releaseSync(sync);
      await store.noteReleased(sync);
    } catch (error) {
      log.warn({ sync, error, code: codeOf(error) }, 'reconcile: a deleted sync keeps its tables for now');
      await store.postponeRelease(sync, againMs);
    }
  });
}

async function lookUp(deps: ReconcileDeps, run: SilentRun): Promise<void> {
  const { state, pausedSteps } = await deps.starter.describe(run.workflowId);
  // Unknown to the engine, a run that is starting is started (sweep.ts) and never made final.
  if (run.status === 'starting' && state !== 'closed') return;
  const isOpen = state === 'open';
  if (isOpen) await tellAgain(deps, run);
  const isLeft = isOpen ? await isLeftCancelling(deps, run) : true;
  if (isLeft && (await close(deps, run, state))) return;
  // Its turn comes again when it has been silent as long once more: those behind it must not wait for it.
  await deps.store.noteSeen(run, pausedSteps);
}

/** Nobody is there to take the step that records it: it is for the workers of the run's class. */
async function isLeftCancelling(
  { starter }: ReconcileDeps,
  { status, workerClass }: SilentRun,
): Promise<boolean> {
  return status === 'cancelling' && workerClass !== null && !(await starter.hasWorker(workerClass));
}

/**
 * Whoever changed the row may have died before the workflow heard of it, which would then wait for ever, or never. One
 * that knows already is not disturbed: before it acts it asks the row.
 */
async function tellAgain(
  { starter, log }: ReconcileDeps,
  { runId, workflowId, status }: SilentRun,
): Promise<void> {
  try {
    if (status === 'running') await starter.resume(workflowId);
    if (status === 'pausing') await starter.pause(workflowId);
  } catch (error) {
    log.warn({ run: runId, code: codeOf(error) }, 'reconcile: the workflow does not answer');
  }
}

/** Whether the run is final now. */
async function close(
  { index, starter, closeRun, log }: ReconcileDeps,
  { runId, workflowId }: RunAtWork,
  state: FoundWorkflow['state'],
): Promise<boolean> {
  log.warn({ run: runId, workflowId, workflow: state }, 'reconcile: nobody else makes the run final');
  if (!closeRun) return false;
  try {
    await closeRun(runId);
  } catch (error) {
    log.warn({ run: runId, error, code: codeOf(error) }, 'reconcile: the run cannot be made final yet');
    return false;
  }
  await index.releaseRuns([runId]).catch((error: unknown) => {
    log.warn({ run: runId, code: codeOf(error) }, 'reconcile: its place is left to the sweep');
  });
  if (state === 'open')
    await starter.terminate(workflowId).catch((error: unknown) => {
      log.warn({ run: runId, code: codeOf(error) }, 'reconcile: its workflow is open until a worker comes');
    });
  return true;
}

async function inParallel<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      for (const item of left) await work(item);
    }),
  );
}
