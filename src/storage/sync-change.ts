/** What a change of a sync gives: the sync as it is now, and what the index must hear after the commit. */
import type { SettledSync } from '../ports/schedule-store.ts';
import type { Sync } from '../ports/sync-store.ts';
import type { IndexNews } from './index-news.ts';

/** A changed sync and what follows from the change. */
export interface SyncChange {
  sync: Sync;
  news: IndexNews;
}

/** The last settling says when to look next; all of them may have queued runs. */
export const newsOf = (...settled: readonly SettledSync[][]): IndexNews => ({
  due: settled.at(-1) ?? [],
  offered: settled.flat().flatMap((sync) => sync.offered),
});
