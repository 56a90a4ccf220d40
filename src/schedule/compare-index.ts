/**
 * The slow sweep: compares a sixtieth of all schedules a minute with their rows, so that whatever was lost on the way to the
 * index is found within the hour, and put right. What falls due before that the quick sweep finds. Counts what it finds, and
 * writes an event of each: an index that drifts is worth a question, even though nothing is lost by it.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { IndexRepair, ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { PageKey, RefillStore, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface CompareDeps {
  readonly index: Pick<IndexRepair, 'compareDue'> & Pick<ScheduleAnnouncer, 'publishDue'>;
  readonly store: RefillStore & Pick<SweepStore, 'noteDrift'>;
  readonly log: Logger;
}

/** In how many looks all of them are compared. */
const looks = 60;
/** What was committed a moment ago may be on its way to the index: only what is still missing then has drifted. */
const onItsWayMs = 1_000;
/** Ids in a log line. */
const shown = 10;

/** Returns a look, which goes on where the last one ended. */
export function createIndexComparison(deps: CompareDeps): () => Promise<void> {
  let after: PageKey | undefined;
  return async () => {
    for (let compared = 0, wanted = 1; compared < wanted;) {
      const { count, size, next } = await comparePage(deps, after);
      compared += count;
      wanted = Math.ceil(size / looks);
      after = next;
      if (!after) return;
    }
  };
}

async function comparePage({ index, store, log }: CompareDeps, after: PageKey | undefined) {
  const fetchPage = () => (after ? store.fetchDueEntries(after) : store.fetchDueEntries());
  const { items, next } = await fetchPage();
  const { size, drifted } = await index.compareDue(items, { note: false });
  if (drifted.length > 0) {
    await delay(onItsWayMs);
    const isSuspect = new Set(drifted.map(({ syncId }) => syncId));
    const suspects = (await fetchPage()).items.filter(({ syncId }) => isSuspect.has(syncId));
    const found = (await index.compareDue(suspects, { note: true })).drifted;
    const isFound = new Set(found.map(({ syncId }) => syncId));
    await index.publishDue(suspects.filter(({ syncId }) => isFound.has(syncId)));
    if (found.length > 0) {
      log.warn(
        { event: 'index_drift', count: found.length, first: found.slice(0, shown) },
        'the index had lost schedules; they are written again from the rows',
      );
      await store.noteDrift(found);
    }
  }
  return { count: items.length, size, next };
}
