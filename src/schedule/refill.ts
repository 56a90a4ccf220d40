/**
 * Refill: writes an empty (or lost, or stranger's) index from the rows. The places of running work come first, because
 * nothing may be admitted before they are counted; then the waiting runs; then all due times. Each part may be written
 * twice, by anybody; the marks are set only by whoever still holds the refill's token, which a flush takes with it.
 */
import { randomUUID } from 'node:crypto';
import type { DueEntry, IndexRepair, RunOffer, ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { Page, PageKey, RefillStore, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface RefillDeps {
  readonly index: IndexRepair & Pick<ScheduleAnnouncer, 'publishDue' | 'offerRuns' | 'saveLimits'>;
  readonly store: RefillStore &
    Pick<SweepStore, 'fetchLimits' | 'fetchPlaceHolders' | 'fetchDueRuns' | 'fetchWaitingRuns'>;
  readonly log: Logger;
}

/**
 * Fills the index unless it is full or somebody else is at it. Returns whether it is done with.
 * @param how `again`: also when it is full, at the start of a dispatcher
 */
export async function refill({ index, store, log }: RefillDeps, how: { again: boolean }): Promise<boolean> {
  await index.check();
  const token = randomUUID();
  if (!(await index.beginRefill(token, how))) return false;
  const startedAtMs = performance.now();
  await index.saveLimits(await store.fetchLimits());
  await index.holdPlaces(await store.fetchPlaceHolders());
  if (!(await index.advanceRefill(token, 'places'))) return false;
  const runs = await eachPage<RunOffer>(
    (after) => store.fetchDueRuns(after),
    async (items) => index.offerRuns(await store.fetchWaitingRuns(items.map(({ runId }) => runId))),
    () => index.advanceRefill(token),
  );
  const syncs = await eachPage<DueEntry>(
    (after) => store.fetchDueEntries(after),
    (items) => index.publishDue(items),
    () => index.advanceRefill(token),
  );
  if (runs === undefined || syncs === undefined || !(await index.advanceRefill(token, 'all'))) return false;
  const tookMs = Math.round(performance.now() - startedAtMs);
  log.info({ runs, syncs, tookMs }, 'refill: the index is written from the rows');
  return true;
}

/** The number of items; undefined when `mayGoOn` said no. */
async function eachPage<T>(
  fetch: (after?: PageKey) => Promise<Page<T>>,
  write: (items: readonly T[]) => Promise<void>,
  mayGoOn: () => Promise<boolean>,
): Promise<number | undefined> {
  let count = 0;
  let after: PageKey | undefined;
  do {
    const page: Page<T> = await (after ? fetch(after) : fetch());
    await write(page.items);
    count += page.items.length;
    after = page.next;
    if (!(await mayGoOn())) return undefined;
  } while (after);
  return count;
}
