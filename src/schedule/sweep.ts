/**
 * The sweep: finds in the rows what the index or a dead dispatcher has lost, so that nothing depends on Redis
 * being right. Each part stands alone: one that fails is left to the next sweep.
 */
import { codeOf, hasCode } from '../domain/errors.ts';
import type { ScheduleIndex } from '../ports/schedule-index.ts';
import type { Page, PageKey, ScheduleStore, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { startEach, startsOf } from './admit.ts';
import type { Launcher } from './launch.ts';
import { isTold } from './outage-log.ts';
import { announceSettled, settleEach } from './tick.ts';

export interface SweepDeps {
  readonly index: ScheduleIndex;
  readonly store: ScheduleStore & SweepStore;
  readonly launcher: Launcher;
  readonly log: Logger;
}

export interface SweepOptions {
  /** A sync whose due time passed longer ago was lost by the index. */
  readonly overdueMs: number;
  /** A run that is `starting` for longer has lost its dispatcher. */
  readonly ticketMs: number;
  /** Places in all. */
  readonly cap: number;
}

/** Pages of one sweep: what is left comes with the next, so that no part holds up the others for long. */
const maxPages = 20;

/** Returns a sweep, which does each part once. It says when it begins to do without the index, and when it ends. */
export function createSweep(deps: SweepDeps, options: SweepOptions): () => Promise<void> {
  const { index, log } = deps;
  let wasIndexUp = true;
  let waitingFrom: PageKey | undefined;
  const attempt = async (name: string, part: () => Promise<void>): Promise<void> => {
    try {
      await part();
    } catch (error) {
      if (isTold(error)) return;
      log.warn({ part: name, error, code: codeOf(error) }, `sweep: ${name} failed, the next sweep does it`);
    }
  };
  return async () => {
    const isIndexUp = await takesWrites(index);
    if (isIndexUp !== wasIndexUp)
      log.warn(
        isIndexUp
          ? 'sweep: the index serves again, and starts what is due'
          : 'sweep: without the index, what is due is started straight from the rows, with each sweep',
      );
    wasIndexUp = isIndexUp;
    if (isIndexUp) await attempt('places', () => comparePlaces(deps));
    await attempt('overdue syncs', () => settleOverdue(deps, isIndexUp ? options.overdueMs : 0, isIndexUp));
    await attempt('missed runs', () => dropMissed(deps));
    if (isIndexUp)
      await attempt('waiting runs', async () => {
        waitingFrom = await offerWaiting(deps, waitingFrom);
      });
    else await attempt('admission from rows', () => admitFromRows(deps, options.cap));
    await attempt('stuck starts', () => startStuck(deps, options.ticketMs));
  };
}

/** Not only whether it answers: one that is full, or a replica, answers and admits nothing. */
async function takesWrites(index: SweepDeps['index']): Promise<boolean> {
  try {
    await index.check();
  } catch (error) {
    // It serves, until it evicts; the refill says so.
    return hasCode(error, 'CONFIG');
  }
  return true;
}

/**
 * Places are exactly the runs that hold one by their rows, and nobody waits where there is room. Read from the index first:
 * what is final stays final. Missing places are written before others are freed: what was started without the index counts
 * before anything is admitted in the room that is found.
 */
async function comparePlaces({ index, store }: SweepDeps): Promise<void> {
  const held = await index.fetchPlaces();
  await index.holdPlaces(await store.fetchPlaceHolders(held));
  await index.freePlaces(await store.fetchPlaceless(held));
  await index.saveLimits(await store.fetchLimits());
  await index.unparkRuns();
}

async function settleOverdue(deps: SweepDeps, lateMs: number, isIndexUp: boolean): Promise<void> {
  const { index, store, log } = deps;
  await eachPage(
    (after) => store.fetchOverdueSyncs(lateMs, after),
    async (syncIds) => {
      const settlement = await settleEach(store, syncIds, log);
      if (isIndexUp) await announceSettled(index, settlement);
    },
  );
}

async function dropMissed({ index, store }: SweepDeps): Promise<void> {
  const dropped = await store.dropMissedRuns();
  // Those that waited in the index leave it; admission would refuse them anyway.
  await index.releaseRuns(dropped).catch(ignoreOutage);
}

/** Offers the waiting runs that the index does not know. Returns where the next sweep goes on. */
async function offerWaiting({ index, store }: SweepDeps, from?: PageKey): Promise<PageKey | undefined> {
  const stoppedAt = await eachPage(
    (after) => store.fetchDueRuns(after),
    async (runs) => {
      const strays = await index.findStrays(runs);
      if (strays.length > 0) await index.offerRuns(await store.fetchWaitingRuns(strays));
    },
    from,
  );
  await index.offerRuns(await store.fetchResumedRuns());
  return stoppedAt;
}

/** Without the index: in order of score, with the caps counted in the rows. Places are written when it is back. */
async function admitFromRows({ store, launcher, log }: SweepDeps, cap: number): Promise<void> {
  const runIds = await store.fetchAdmissible(cap, launcher.room());
  if (runIds.length === 0) return;
  launcher.launch(startsOf(await startEach(store, runIds, log)));
}

async function startStuck({ store, launcher }: SweepDeps, ticketMs: number): Promise<void> {
  const stuck = await store.claimStuckStarts(ticketMs, launcher.room());
  launcher.launch(stuck.map((run) => ({ run, ticket: undefined, goesOn: false })));
}

/** Returns where it stopped; undefined: at the last page. */
async function eachPage<T>(
  fetch: (after?: PageKey) => Promise<Page<T>>,
  handle: (items: readonly T[]) => Promise<void>,
  from?: PageKey,
): Promise<PageKey | undefined> {
  let after = from;
  for (let n = 0; n < maxPages; n += 1) {
    const page: Page<T> = await (after ? fetch(after) : fetch());
    await handle(page.items);
    after = page.next;
    if (!after) break;
  }
  return after;
}

function ignoreOutage(error: unknown): void {
  if (!hasCode(error, 'UNAVAILABLE')) throw error;
}
