/**
 * The Redis index: which ids to look at, and when; waiting order; occupied places. Everything in it can be lost at any
 * moment and is written again from the control database. No method decides anything that rows do not confirm.
 */
import type { RunId, SyncId, TenantId } from '../domain/ids.ts';

/** When a sync is to be looked at next; null removes it. Stale versions are ignored by the index. */
export interface DueEntry {
  syncId: SyncId;
  version: number;
  nextDueAtMs: number | null;
}

/** A queued run that wants a place. */
export interface RunOffer {
  runId: RunId;
  tenantId: TenantId;
  syncId: SyncId;
  /** Virtual deadline (src/domain/priority.ts), milliseconds: smaller is sooner. */
  score: number;
}

/** What producers (the API) need of the index: to make a committed change take effect at once. */
export interface ScheduleAnnouncer {
  /** Writes when to look at syncs next, guarded by their versions. Safe to repeat, in any order. */
  publishDue(entries: readonly DueEntry[]): Promise<void>;
  /** Offers queued runs for admission and wakes a dispatcher. Safe to repeat. */
  offerRuns(runs: readonly RunOffer[]): Promise<void>;
  /** Frees the places of runs that became final, or were paused. Safe to repeat. */
  releaseRuns(runIds: readonly RunId[]): Promise<void>;
}
