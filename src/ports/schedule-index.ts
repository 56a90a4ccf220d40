/**
 * The Redis index: which ids to look at, and when; waiting order; occupied places. Everything in it can be lost at any
 * moment and is written again from the control database. No method decides anything that rows do not confirm.
 * Errors: UNAVAILABLE when Redis does not answer in time; a call that failed so may still have happened, or happen yet.
 */
import type { IndexFacts } from '../domain/explain-run.ts';
import type { ConnectionId, RunId, SyncId, TenantId } from '../domain/ids.ts';

/** When a sync is to be looked at next; null removes it. Stale versions are ignored by the index. */
export interface DueEntry {
  syncId: SyncId;
  version: number;
  nextDueAtMs: number | null;
}

/** The same, as the rows say it at that moment. */
export interface PlannedDue extends DueEntry {
  /** Ms until then, by the control database's clock. */
  inMs: number;
}

/** How a sync can be wrong in the index: it would not be looked at, or later than its row says. */
export type IndexDrift = 'missing' | 'late';

export interface DriftedSync {
  readonly syncId: SyncId;
  readonly drift: IndexDrift;
}

export interface IndexComparison {
  /** Syncs in the index. */
  readonly size: number;
  readonly drifted: readonly DriftedSync[];
}

/** A queued run that wants a place. */
export interface RunOffer {
  runId: RunId;
  tenantId: TenantId;
  syncId: SyncId;
  /** It reads from this one. */
  connectionId: ConnectionId;
  /** Virtual deadline (src/domain/priority.ts), milliseconds: smaller is sooner. */
  score: number;
}

/** What was set for tenants and connections, as admission goes by it. Stale versions are ignored by the index. */
export interface Limits {
  tenants: readonly TenantLimits[];
  connections: readonly ConnectionLimits[];
}

export interface TenantLimits {
  tenantId: TenantId;
  version: number;
  /** Share of the starts while others wait, too. */
  weight: number;
  /** Places that its runs may hold. */
  maxRuns: number;
}

/** Of the connection that runs read from. */
export interface ConnectionLimits {
  connectionId: ConnectionId;
  version: number;
  /** Places that runs which read from it may hold. */
  maxRuns: number;
  /** Least ms between two starts; 0: none. */
  startGapMs: number;
  /** Ms from now for which no run of it starts. */
  coolMs: number;
}

/** What producers (the API) need of the index: to make a committed change take effect at once. */
export interface ScheduleAnnouncer {
  /** Writes when to look at syncs next, guarded by their versions. Safe to repeat, in any order. */
  publishDue(entries: readonly DueEntry[]): Promise<void>;
  /** Offers queued runs for admission and wakes a dispatcher. Safe to repeat. */
  offerRuns(runs: readonly RunOffer[]): Promise<void>;
  /** Frees the places of runs that became final, or were paused. Safe to repeat. */
  releaseRuns(runIds: readonly RunId[]): Promise<void>;
  /** Lets admission go by these limits from now on, guarded by their versions. Safe to repeat, in any order. */
  saveLimits(limits: Partial<Limits>): Promise<void>;
}

/** Syncs lent to one dispatcher; unless it publishes their next time they come back when the lease has run out. */
export interface DueClaim {
  readonly syncIds: readonly SyncId[];
  /** Proves to `postponeDue` that nobody published meanwhile. */
  readonly token: number;
  /** Milliseconds until the next sync is to be looked at; null: there is none. */
  readonly nextInMs: number | null;
}

/** The right to start a run, which holds a place; whoever keeps it too long finds it handed on. */
export interface Ticket {
  readonly runId: RunId;
  readonly token: number;
}

/** How much of the index has been written from rows: nothing, the places of running work, all. */
export type Filled = 'nothing' | 'places' | 'all';

interface Admission {
  readonly tickets: readonly Ticket[];
  readonly filled: Filled;
  /** There was more to do than one call does. */
  readonly isMore: boolean;
  /** Ms until a run that waits for a time goes on; null: none does. */
  readonly nextInMs: number | null;
}

/** Which syncs are due. */
export interface DueIndex {
  /** Lends out syncs whose time to be looked at has come, longest due first. */
  claimDue(limit: number): Promise<DueClaim>;
  /** Looks again at claimed syncs after `inMs`; null: there is no such sync. Does nothing where somebody published. */
  postponeDue(token: number, looks: readonly { syncId: SyncId; inMs: number | null }[]): Promise<void>;
}

/** Who may start. */
export interface AdmissionIndex {
  /**
   * Gives places to waiting runs, at most `cap` in all, and as many as tenants and connections may have; nothing before the
   * places of running work are counted.
   */
  admit(how: { limit: number; cap: number }): Promise<Admission>;
  /** Ends the tickets of runs that were started; they keep their places. */
  confirmStarts(tickets: readonly Ticket[]): Promise<void>;
  /** Gives back tickets with their places; the run waits again (`wait`), so many ms later, or leaves the index (`drop`). */
  returnTickets(tickets: readonly (Ticket & { next: 'wait' | 'drop' | number })[]): Promise<void>;
}

/** What writes the index from rows, and compares it with them. */
export interface IndexRepair {
  /** @throws PenstockError CONFIG when the server would delete keys by itself */
  check(): Promise<void>;
  /** Whether the caller is to fill the index; false: it is full, or somebody else fills it. `again`: also when full. */
  beginRefill(token: string, how: { again: boolean }): Promise<boolean>;
  /** Keeps the right to fill it, and marks what is filled; false: start over, what was written may be gone. */
  advanceRefill(token: string, filled?: Exclude<Filled, 'nothing'>): Promise<boolean>;
  /** Of these queued runs, those that must be offered: it does not know them, or has them with another score. */
  findStrays(runs: readonly RunOffer[]): Promise<RunId[]>;
  /** The runs that hold a place without a ticket. */
  fetchPlaces(): Promise<RunId[]>;
  /** Writes the places of runs that are at work, whatever the cap. */
  holdPlaces(runs: readonly RunOffer[]): Promise<void>;
  /** Frees places that no row vouches for, unless a ticket does. */
  freePlaces(runIds: readonly RunId[]): Promise<void>;
  /** Which of these syncs it would look at too late or never; nothing until it is full. `note`: counts them. */
  compareDue(entries: readonly PlannedDue[], how: { note: boolean }): Promise<IndexComparison>;
  /** How many it has counted since it was lost for the last time. */
  fetchDrift(): Promise<Readonly<Record<IndexDrift, number>>>;
  /** Lets go the runs that wait for a connection which has room. */
  unparkRuns(): Promise<void>;
}

/** What the index knows of one run that waits. */
export interface WaitingIndex {
  explainRun(run: { runId: RunId; tenantId: TenantId; connectionId: ConnectionId }): Promise<IndexFacts>;
}

/** `due`: a sync is to be looked at soon; `ready`: a run or a place is there; `released`: a run let go of its place. */
export type Wake = 'due' | 'ready' | 'released';

/** All of it, as the dispatcher sees it. */
export interface ScheduleIndex
  extends ScheduleAnnouncer, DueIndex, AdmissionIndex, IndexRepair, WaitingIndex {
  /**
   * Calls the listener soon after something changed, until the returned function is called. Wakes may be lost: they
   * save time, looking is the guarantee.
   */
  onWake(listener: (wake: Wake) => void): () => void;
}
