/**
 * The control database as the dispatcher sees it: what is due, what may start, and what the index must hold. Every
 * method is one transaction, and safe to repeat after a crash at any point. Errors: UNAVAILABLE when the database does
 * not answer; anything else concerns the rows that were named.
 */
import type { RunId, SyncId } from '../domain/ids.ts';
import type { RunStatus, WaitingReason } from '../domain/run-states.ts';
import type { PausedStep } from './run-control.ts';
import type { RunToStart } from './run-starter.ts';
import type { DriftedSync, DueEntry, Limits, PlannedDue, RunOffer } from './schedule-index.ts';

/** What the index must hear of a settled sync, after the commit: when to look at it next, and its new runs. */
export interface SettledSync extends DueEntry {
  /** Whether a due time had passed (or next times were missing); false: it was looked at too early. */
  readonly wasDue: boolean;
  /** It comes after another sync, a run of which may end at any moment: only who claimed it may say that it is not due. */
  readonly follows: boolean;
  /** The instant at which it was judged, ms by the control database's clock. */
  readonly settledAtMs: number;
  readonly offered: readonly RunOffer[];
  /** Workflows of runs that are `cancelling` because a due time overlapped them. */
  readonly cancelled: readonly string[];
}

export interface Settlement {
  readonly settled: readonly SettledSync[];
  /** Somebody holds their rows: look again soon. */
  readonly lockedIds: readonly SyncId[];
  /** There are no such syncs. */
  readonly unknownIds: readonly SyncId[];
}

/** What the rows say to an admission. */
export type StartVerdict =
  /** The run is `starting`, now or already: its workflow is to be started. */
  | { readonly runId: RunId; readonly verdict: 'start'; readonly run: RunToStart }
  /** It was paused and is `running` again: its workflow is to be told. */
  | { readonly runId: RunId; readonly verdict: 'go_on'; readonly run: RunToStart }
  /** It is at work already, and keeps its place. */
  | { readonly runId: RunId; readonly verdict: 'at_work' }
  /** It must wait for something that is not a place: until then, in ms from now; null: somebody offers it again. */
  | {
      readonly runId: RunId;
      readonly verdict: 'wait';
      readonly reason: WaitingReason;
      readonly inMs: number | null;
    }
  /** Somebody holds its row: ask again soon. */
  | { readonly runId: RunId; readonly verdict: 'locked' }
  /** It is final, paused or gone, and wants no place. */
  | { readonly runId: RunId; readonly verdict: 'gone' };

/** A page's end; pass it to get the next page. */
export type PageKey = readonly [string, string];

export interface Page<T> {
  readonly items: readonly T[];
  /** Undefined: this was the last page. */
  readonly next: PageKey | undefined;
}

/** Tick and admit. */
export interface ScheduleStore {
  /** Turns the due times of these syncs into slots and queued runs (src/storage/settle.ts). */
  settle(syncIds: readonly SyncId[]): Promise<Settlement>;
  /**
   * Makes runs `starting` where the rows allow it now, never before their due time by the database's clock; paused ones
   * that were resumed become `running`.
   * @param served the worker classes that have workers: queued runs of others wait (`no_worker`); without it no run does
   */
  startRuns(runIds: readonly RunId[], served?: readonly string[]): Promise<StartVerdict[]>;
  /** Makes a `starting` run failed because the engine refuses it for good. */
  failStart(runId: RunId, error: { code: string; message: string }): Promise<void>;
}

/** A run that is at work, and its workflow. */
export interface RunAtWork {
  readonly runId: RunId;
  readonly workflowId: string;
}

/** A run that is to be looked up in the engine. */
export interface SilentRun extends RunAtWork {
  readonly status: RunStatus;
  /** Whose workers take its steps; null: the common ones. */
  readonly workerClass: string | null;
  /** When it was to be looked at, as the rows said when it was fetched; null: when it has been silent. */
  readonly lookAt: string | null;
}

/** What the sweeps compare with the index and the engine. */
export interface SweepStore {
  /** Syncs whose due time, or end of a run that they come after, passed more than `lateMs` ago, longest due first. */
  fetchOverdueSyncs(lateMs: number, after?: PageKey): Promise<Page<SyncId>>;
  /** Due queued runs, longest due first, whatever else they wait for. */
  fetchDueRuns(after?: PageKey): Promise<Page<RunOffer>>;
  /** Of these, the due queued runs that wait for nothing but a place; `served` as for startRuns. */
  fetchWaitingRuns(runIds: readonly RunId[], served?: readonly string[]): Promise<RunOffer[]>;
  /** Queued runs for a later time that has come since the last call, and in how many ms the next one's comes. */
  takeComeDue(): Promise<{ offers: readonly RunOffer[]; nextInMs: number | null }>;
  /** Paused runs that were resumed and wait for a place. */
  fetchResumedRuns(): Promise<RunOffer[]>;
  /** Queued runs that waited for a previous run of their sync, which is final now. */
  fetchUnblockedRuns(): Promise<RunOffer[]>;
  /** The best waiting runs in order of score, as many as there are places left by the rows alone under every cap. */
  fetchAdmissible(cap: number, limit: number, served?: readonly string[]): Promise<RunId[]>;
  /** The worker classes that connections name. */
  fetchWorkerClasses(): Promise<string[]>;
  /** Ends queued runs that are past their catch-up deadline, or whose sync was deleted. */
  dropMissedRuns(): Promise<RunId[]>;
  /** Runs that hold a place by their rows, but for these. */
  fetchPlaceHolders(but?: readonly RunId[]): Promise<RunOffer[]>;
  /** Of these runs, those that hold no place by their rows. */
  fetchPlaceless(runIds: readonly RunId[]): Promise<RunId[]>;
  /** Runs that have been `starting` for longer, and counts from now again how long they have been. */
  claimStuckStarts(olderThanMs: number, limit: number): Promise<RunToStart[]>;
  /** Runs that have been `cancelling` for longer. */
  fetchCancelling(olderThanMs: number): Promise<RunAtWork[]>;
  /** Runs past `starting` whose row has not moved for longer, or which are to be looked at now. */
  fetchSilentRuns(olderThanMs: number): Promise<SilentRun[]>;
  /**
   * Notes that the engine still has the run, and what is paused of it there: a run of which something is, is looked at soon
   * again, and one for which somebody has asked since it was fetched at once.
   */
  noteSeen(run: Pick<SilentRun, 'runId' | 'lookAt'>, paused: readonly PausedStep[]): Promise<void>;
  /** Deleted syncs without a run that may still write, whose tables are to be given up now, longest due first. */
  fetchReleases(): Promise<SyncId[]>;
  /** Notes that the deleted sync holds no table any more. */
  noteReleased(syncId: SyncId): Promise<void>;
  /** A destination did not let it be released: again later. */
  postponeRelease(syncId: SyncId, byMs: number): Promise<void>;
  /** Writes an event of each sync that the index had lost. */
  noteDrift(drifted: readonly DriftedSync[]): Promise<void>;
  /** The limits of tenants and connections that have others than a new one. */
  fetchLimits(): Promise<Limits>;
}

/** What an empty index is filled from. */
export interface RefillStore {
  /** Every sync that has a next due time. */
  fetchDueEntries(after?: PageKey): Promise<Page<PlannedDue>>;
}
