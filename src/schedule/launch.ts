/**
 * Starts the workflows of runs that are `starting`, many at once, and tells those of resumed runs to go on. Starting twice
 * is harmless, so a run whose start has no answer is started again; what was there already is somebody else's to look at.
 * While the engine is unreachable nothing new is admitted: runs stay queued.
 */
import { codeOf, errorTable, hasCode } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { RunStarter, RunToStart } from '../ports/run-starter.ts';
import type { AdmissionIndex, ScheduleAnnouncer, Ticket } from '../ports/schedule-index.ts';
import type { ScheduleStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createStartQueue } from './start-queue.ts';

export interface LaunchDeps {
  readonly starter: Pick<RunStarter, 'start' | 'resume'>;
  readonly index: Pick<AdmissionIndex, 'confirmStarts'> & Pick<ScheduleAnnouncer, 'releaseRuns'>;
  readonly store: Pick<ScheduleStore, 'failStart'>;
  readonly log: Logger;
  /** Called with a run whose workflow was there already: it may have ended without making its run final. */
  readonly onMet?: (run: RunToStart) => void;
}

export interface Launcher {
  /** How many more starts it takes in; 0 while it is stalled. */
  room(): number;
  /** Whether a further batch is worth its round trips now; else `onRoom` says when. */
  isLow(): boolean;
  /** Whether the engine did not answer last time. */
  isStalled(): boolean;
  /** Starts the runs in the background; the ticket of each ends when its workflow is there. */
  launch(starts: readonly Start[]): void;
  /** Tries once again what the engine did not take. Returns whether nothing is left. */
  retry(): Promise<boolean>;
  /** Resolves when every start under way has an answer. */
  drain(): Promise<void>;
}

export interface Start {
  readonly run: RunToStart;
  readonly ticket: Ticket | undefined;
  /** Its workflow is there, paused. */
  readonly goesOn: boolean;
}

const repeatLineMs = 60_000;

/**
 * @param mostAtOnce starts under way, however quick the engine is
 * @param onRoom called when there is room for more than a few, so that more may be admitted
 */
export function createLauncher(deps: LaunchDeps, mostAtOnce: number, onRoom: () => void): Launcher {
  const { starter, index, store, log, onMet } = deps;
  const queue = createStartQueue(mostAtOnce);
  const underWay = new Map<RunId, Promise<void>>();
  const stalled = new Map<RunId, Start>();
  let loggedAtMs = -Infinity;
  const confirm = createConfirmer(index);

  const stall = (start: Start, error: unknown): void => {
    stalled.set(start.run.runId, start);
    if (performance.now() - loggedAtMs < repeatLineMs) return;
    loggedAtMs = performance.now();
    log.warn(
      { error, waiting: stalled.size },
      'admit: the engine does not answer, nothing is started until it does',
    );
  };
  const unstall = (runId: RunId): void => {
    if (!stalled.delete(runId) || stalled.size > 0) return;
    loggedAtMs = -Infinity;
    log.info({}, 'admit: the engine answers again');
  };
  /** One that does not hear it, for want of a worker, is told again when its row has been silent (reconcile.ts). */
  const tell = async ({ run, ticket }: Start): Promise<void> => {
    if (ticket) confirm(ticket);
    await starter.resume(run.workflowId);
  };
  const begin = async (start: Start): Promise<void> => {
    const { run, ticket } = start;
    if (start.goesOn) return await tell(start);
    // Has waited for its turn while others found the engine away: it does not ask, too.
    if (stalled.size > 0 && !stalled.has(run.runId)) return void stalled.set(run.runId, start);
    try {
      if ((await starter.start(run)) === 'already_started') onMet?.(run);
      unstall(run.runId);
      if (ticket) confirm(ticket);
    } catch (error) {
      if (hasCode(error, 'ENGINE_UNREACHABLE')) stall(start, error);
      else {
        unstall(run.runId);
        await refuse(run, error);
      }
    }
  };
  const refuse = async (run: RunToStart, error: unknown): Promise<void> => {
    const code = codeOf(error);
    const ids = { tenant: run.tenantId, sync: run.syncId, run: run.runId };
    if (errorTable[code].retry !== 'never') {
      log.warn(
        { ...ids, error, code },
        'admit: a start failed; the run is started again when its ticket runs out',
      );
      return;
    }
    log.error({ ...ids, error, code }, 'admit: the engine refuses the run for good');
    await store.failStart(run.runId, {
      code,
      message: error instanceof Error ? error.message : String(error),
    });
    await index.releaseRuns([run.runId]);
  };
  const track = (start: Start): void => {
    const { runId } = start.run;
    if (underWay.has(runId)) return;
    const ended = queue
      .run(() => begin(start))
      .catch((error: unknown) => log.warn({ run: runId, error }, 'admit: a start is left to the sweep'))
      .finally(() => {
        underWay.delete(runId);
        if (stalled.size === 0 && queue.isLow()) onRoom();
      });
    underWay.set(runId, ended);
  };
  const drain = async (): Promise<void> => {
    while (underWay.size > 0) await Promise.all(underWay.values());
    await confirm.flushed();
  };

  return {
    room: () => (stalled.size > 0 ? 0 : queue.room()),
    isLow: () => queue.isLow(),
    isStalled: () => stalled.size > 0,
    launch: (starts) => starts.forEach(track),
    async retry() {
      const [first] = stalled.values();
      if (!first) return true;
      await begin(first);
      if (!stalled.has(first.run.runId)) [...stalled.values()].forEach(track);
      await drain();
      return stalled.size === 0;
    },
    drain,
  };
}

/** Ends tickets in batches: while one call is under way the next tickets gather. A lost call only costs a second start. */
function createConfirmer(index: Pick<AdmissionIndex, 'confirmStarts'>) {
  let gathered: Ticket[] = [];
  let flushing: Promise<void> | undefined;
  const flush = async (): Promise<void> => {
    while (gathered.length > 0) {
      const batch = gathered;
      gathered = [];
      await index.confirmStarts(batch).catch(() => {});
    }
    flushing = undefined;
  };
  const confirm = (ticket: Ticket): void => {
    gathered.push(ticket);
    flushing ??= flush();
  };
  confirm.flushed = async (): Promise<void> => flushing;
  return confirm;
}
