/**
 * The dispatcher: loops that turn due times into started runs. Any number of them may run at once, on machines whose
 * clocks differ. Nothing here is needed for correctness: the rows decide, and everything may be done twice.
 *
 * docs/scheduling.md has the claim protocol: its invariants, by the numbers that Lua files and SQL functions name, and the
 * states of a due time. What moves one on; whatever dies, the state before is found again:
 *   due in the rows ──claimDue──> lent ──settle──> run queued ──offerRuns──> waiting ──admit──> ticket
 *     ──startRuns──> run starting ──RunStarter.start──> workflow there ──confirmStarts──> place held
 *     ──run final, releaseRuns──> gone
 *   lost on the way: lent → the lease ends, or the sweep settles it · queued → the sweep offers it
 *     · ticket → it runs out and admit hands it on · starting → the sweep starts it again
 *     · place of a final run → the sweep frees it · the whole index → refill.ts writes it from the rows
 */
import { hasCode } from '../domain/errors.ts';
import type { RunId, SyncId } from '../domain/ids.ts';
import type { RunStarter, RunToStart } from '../ports/run-starter.ts';
import type { ScheduleIndex, Wake } from '../ports/schedule-index.ts';
import type { RefillStore, ScheduleStore, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { admit } from './admit.ts';
import { createClassWatch } from './class-watch.ts';
import { createIndexComparison } from './compare-index.ts';
import { createLauncher, type Launcher } from './launch.ts';
import { startLoop, type Loop } from './loop.ts';
import { reconcile } from './reconcile.ts';
import { refill } from './refill.ts';
import { createSweep } from './sweep.ts';
import { tick } from './tick.ts';
import { defaultLookEveryMs, defaultTicketMs, lockedMs } from './timings.ts';

export interface DispatcherDeps {
  readonly index: ScheduleIndex;
  readonly store: ScheduleStore & SweepStore & RefillStore;
  readonly starter: RunStarter;
  readonly log: Logger;
  /** Makes a run final that its workflow does not, in the destination first; without it such runs are only reported. */
  readonly closeRun?: (runId: RunId) => Promise<void>;
  /** Gives up the tables of a deleted sync in its destinations; without it they stay its own. */
  readonly releaseSync?: (syncId: SyncId) => Promise<void>;
  readonly options: DispatcherOptions;
}

export interface DispatcherOptions {
  /** Places in all: runs that may be at work at once. */
  readonly globalCap: number;
  /** Workflow starts under way at once, at most; fewer while the engine is slow. Default 64. */
  readonly startConcurrency?: number;
  /** A look at the index at least this often, ms. Default 1 s. */
  readonly lookEveryMs?: number;
  /** Default 5 s. */
  readonly sweepEveryMs?: number;
  /** A sync whose due time passed longer ago was lost by the index. Default 5 s. */
  readonly overdueMs?: number;
  /** As the index's: a run `starting` for longer has lost its dispatcher. Default 30 s. */
  readonly ticketMs?: number;
  /** A run whose row has not moved for longer is looked up in the engine. Default 45 s: its status is right within a minute. */
  readonly silentMs?: number;
  /** How often a sixtieth of all schedules is compared with the index. Default a minute. */
  readonly compareEveryMs?: number;
}

export interface Dispatcher {
  /** Starts the loops. @throws PenstockError CONFIG when Redis would evict keys */
  start(): Promise<void>;
  /** Finishes the steps in hand and the starts under way; what was not begun is left to others. */
  stop(): Promise<void>;
}

const defaults = {
  startConcurrency: 64,
  lookEveryMs: defaultLookEveryMs,
  sweepEveryMs: 5_000,
  overdueMs: 5_000,
  ticketMs: defaultTicketMs,
  silentMs: 45_000,
  compareEveryMs: 60_000,
};
type Settings = Required<DispatcherOptions>;

/** How long a refill that is done with may rest unless it is woken. */
const idleMs = 60_000;
/** Between two batches that are not full: due times and places that come one by one share their round trips. */
const restMs = 10;
const leastEngineBackoffMs = 250;
const mostEngineBackoffMs = 10_000;

/** A dispatcher over its ports; it owns none of them. */
export function createDispatcher(given: DispatcherDeps): Dispatcher {
  const classes = createClassWatch(given);
  const deps: DispatcherDeps = { ...given, store: classes.store };
  const settings: Settings = { ...defaults, ...deps.options };
  let loops:
    | Record<'tick' | 'admit' | 'later' | 'sweep' | 'classes' | 'compare' | 'reconcile' | 'refill', Loop>
    | undefined;
  let stopListening: (() => void) | undefined;
  const met = new Map<RunId, RunToStart>();
  const onMet = (run: RunToStart): void => void met.set(run.runId, run);
  const onRoom = (): void => loops?.admit.wake();
  const launcher = createLauncher({ ...deps, onMet }, settings.startConcurrency, onRoom);
  const released = { since: false };
  const onWake = (wake: Wake): void => {
    if (wake === 'due') return loops?.tick.wake();
    if (wake === 'released') released.since = true;
    loops?.admit.wake();
  };

  return {
    async start() {
      await deps.index.check().catch((error: unknown) => {
        if (hasCode(error, 'CONFIG')) throw error;
        deps.log.warn({ error }, 'dispatcher: starting without Redis');
      });
      // Before anything is admitted: otherwise each new dispatcher would let some of those runs take places.
      await classes.look().catch(() => {});
      const lookAtClasses = async (): Promise<void> => {
        if (await classes.look()) loops?.sweep.wake();
      };
      const { log } = deps;
      const { sweepEveryMs, compareEveryMs } = settings;
      const sweep = createSweep({ ...deps, launcher }, { ...settings, cap: settings.globalCap });
      const admitStep = createAdmitStep(deps, {
        settings,
        launcher,
        released,
        onUnfilled: () => loops?.refill.wake(),
      });
      loops = {
        refill: startLoop({ name: 'refill', log, step: createRefillStep(deps) }),
        tick: startLoop({ name: 'tick', log, restMs, step: () => tick(deps, settings.lookEveryMs) }),
        admit: startLoop({ name: 'admit', log, restMs, step: admitStep }),
        later: startLoop({
          name: 'later',
          log,
          restMs,
          step: () => offerComeDue(deps, settings.lookEveryMs),
        }),
        sweep: startLoop({ name: 'sweep', log, step: every(sweepEveryMs, sweep) }),
        classes: startLoop({ name: 'classes', log, step: every(sweepEveryMs, lookAtClasses) }),
        compare: startLoop({
          name: 'compare',
          log,
          step: every(compareEveryMs, createIndexComparison(deps)),
        }),
        reconcile: startLoop({
          name: 'reconcile',
          log,
          step: every(sweepEveryMs, () => reconcileMet(deps, settings, met)),
        }),
      };
      stopListening = deps.index.onWake(onWake);
    },
    async stop() {
      stopListening?.();
      await Promise.all(Object.values(loops ?? {}).map((loop) => loop.stop()));
      await launcher.drain();
    },
  };
}

interface StepContext {
  readonly settings: Settings;
  readonly launcher: Launcher;
}

function createAdmitStep(
  deps: DispatcherDeps,
  context: StepContext & { released: { since: boolean }; onUnfilled: () => void },
): () => Promise<number> {
  const { settings, launcher, released, onUnfilled } = context;
  let engineBackoffMs = leastEngineBackoffMs;
  return async () => {
    if (launcher.isStalled() && !(await launcher.retry())) {
      engineBackoffMs = Math.min(mostEngineBackoffMs, engineBackoffMs * 2);
      return engineBackoffMs;
    }
    engineBackoffMs = leastEngineBackoffMs;
    if (released.since) {
      released.since = false;
      await deps.index.offerRuns(await deps.store.fetchUnblockedRuns());
    }
    const { filled, isMore, wasLocked, nextInMs } = await admit({ ...deps, launcher }, settings.globalCap);
    if (filled !== 'all') onUnfilled();
    if (isMore) return 0;
    return Math.min(wasLocked ? lockedMs : settings.lookEveryMs, nextInMs ?? Infinity);
  };
}

/** Runs that were triggered for a later time are offered when it has come. */
export async function offerComeDue(
  { index, store }: Pick<DispatcherDeps, 'index' | 'store'>,
  lookEveryMs: number,
): Promise<number> {
  const { offers, nextInMs } = await store.takeComeDue();
  if (offers.length > 0) await index.offerRuns(offers);
  return Math.max(0, Math.min(lookEveryMs, nextInMs ?? lookEveryMs));
}

/** At its start a dispatcher writes the whole index again; later only when it was lost. */
function createRefillStep(deps: DispatcherDeps): () => Promise<number> {
  let again = true;
  return async () => {
    await refill(deps, { again });
    again = false;
    return idleMs;
  };
}

/** A step that does this, and asks to be done again after so long. */
const every = (ms: number, work: () => Promise<void>) => async (): Promise<number> => {
  await work();
  return ms;
};

/** @param runs whose workflow was there already: looked up once, and again when the sweep has started them again */
async function reconcileMet(
  deps: DispatcherDeps,
  { overdueMs: cancelAgainMs, silentMs }: Settings,
  runs: Map<RunId, RunToStart>,
): Promise<void> {
  const met = [...runs.values()];
  runs.clear();
  await reconcile(deps, { cancelAgainMs, silentMs, met });
}
