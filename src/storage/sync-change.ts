/** What a change of a sync gives: the sync as it is now, and what the index must hear after the commit. */
import type { SettledSync } from '../ports/schedule-store.ts';
import type { Sync } from '../ports/sync-store.ts';
import type { IndexNews } from './index-news.ts';

/** A changed sync and what follows from the change. */
export interface SyncChange {
  sync: Sync;
  news: IndexNews;
}

/**
 * The last settling says when to look next; all of them may have queued runs. A sync that comes after another is looked at
 * now: a run of the other may have ended since, and nobody but who claims it may say that it is not due.
 */
export const newsOf = (...settled: readonly SettledSync[][]): IndexNews => ({
  due: (settled.at(-1) ?? []).map((sync) =>
    sync.follows ? { ...sync, nextDueAtMs: sync.nextDueAtMs ?? sync.settledAtMs } : sync,
  ),
  offered: settled.flat().flatMap((sync) => sync.offered),
});
