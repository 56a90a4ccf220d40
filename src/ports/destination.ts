/**
 * What the pipe needs of the database that is written to: targets, loads, leases, checkpoints and cursors, all kept
 * beside the data in its schema `_penstock`, because only a row in the same transaction as the data is exactly-once.
 * src/destinations/postgres/commit-protocol.ts states the protocol's invariants.
 */
import type { PenstockError } from '../domain/errors.ts';
import type { LoadId, RunId, SyncId } from '../domain/ids.ts';
import type { BrokenInvariant } from '../domain/maintenance.ts';
import type { Receipt } from '../domain/run-states.ts';
import type { PlannedLock } from '../domain/sync-plan.ts';
import type { TargetScope } from '../domain/target-scope-spec.ts';
import type { WriteModeName } from '../domain/write-modes.ts';
import type { ComparedTarget, DestinationRows } from './comparison.ts';
import type { ConnectionAccess } from './connection.ts';
import type { LeaseRequest, PartitionWriter, Reject } from './partition-writer.ts';
import type { Page, PageRequest } from './scope.ts';
import type {
  CursorWindow,
  MappedColumn,
  PartitionBounds,
  PlannedCursor,
  ResultColumn,
  RowFormat,
} from './source.ts';

export interface TableName {
  /** Empty: the first schema of the login's search path. */
  schema: string;
  table: string;
}

/** How rows of the target are marked as deleted: a boolean that is true, or a time that is there. */
export interface SoftDelete {
  column: string;
  kind: 'boolean' | 'time';
}

/** Everything that decides what a load reads and writes. Frozen when the load is opened; whoever continues it executes it. */
export interface LoadPlan {
  syncVersion: number;
  mode: WriteModeName;
  query: string;
  sourceIdentity: string;
  columns: readonly ResultColumn[];
  format: RowFormat;
  reader: 'copy' | 'cursor';
  key: readonly string[];
  /** No two rows of the result can share a key; otherwise batches are cut only where the key changes. */
  uniqueKey: boolean;
  /** The key if rows have to come in its order; otherwise empty, and they come and are cut as they come. */
  order: readonly string[];
  /** An attempt goes on after the last checkpoint; otherwise each begins with the first row again. */
  resumable: boolean;
  target: TableName;
  /** Which rows of the target are the sync's; absent: all of them. */
  scope?: TargetScope;
  cursor: PlannedCursor | null;
  movesCursor: boolean;
  /** Rows are marked instead of deleted. */
  softDelete?: SoftDelete;
  /** How the source makes the columns of the query's, if it is not what the query has. */
  mapping?: readonly MappedColumn[];
  /** What {{run_time}} stands for in the query, if it is there. */
  runTime?: string;
  /** Column of the result that says, when true (boolean) or not NULL (any other), that the row's key is gone. */
  deletedWhen?: { column: string; isBoolean: boolean };
}

/** What the run that finishes a load allows it to do. */
export interface PublishLimits {
  /** Rows that one transaction deletes at most. */
  chunkRows: number;
  /** Of the rows that were there, as many may be deleted; 100 allows all. */
  maxDeletePercent: number;
  /** The table before a replacement stays, as `<table>_previous`. */
  keepPrevious?: boolean;
}

/** What becomes of a column of the result that the target has not: the run fails, or the target gets it. */
export type OnSchemaChange = 'fail' | 'add_columns';

/** How a load's columns differ from those of the one before. */
export interface SchemaChange {
  /** Added to the target. */
  added: readonly string[];
  /** Columns of the target that the result fills no more: they keep what they have, and are NULL in new rows. */
  gone: readonly string[];
}

/** A load that a run may work on. */
export interface OpenLoad {
  loadId: LoadId;
  phase: 'planned' | 'loading' | 'loaded' | 'done';
  /** Opened by an earlier run that did not finish it. */
  continued: boolean;
  plan: LoadPlan;
  window: CursorWindow;
  /** Partition numbers, from 1. */
  partitions: readonly number[];
  /** The greatest epoch under which one of them was ever taken, decimal text; `0` before the first. */
  lastEpoch: string;
  /** Only where this call has opened it. */
  schemaChange?: SchemaChange;
}

/**
 * What becomes of a cursor: `first`, there is none yet; `kept`; `gone`, what it vouches for is not there any more, and
 * `changed`, it belongs to another plan: everything is read again; `refused`, which would load rows twice.
 */
export type CursorFate = 'first' | 'kept' | 'gone' | 'changed' | 'refused';

/** What opening and publishing a load would meet. */
export interface TargetForecast {
  exists: boolean;
  /** The planner's guess; null where it has none. */
  estimatedRows: number | null;
  /** What will be executed to make the target. */
  ddl: string[];
  locks: PlannedLock[];
  cursor: CursorFate;
  unfinished: { loadId: LoadId; rows: number; becomes: 'continued' | 'abandoned' | 'refused' } | null;
  /** Everything that opening would be refused for, but for cursor and unfinished load. */
  refusals: PenstockError[];
}

/** A load that has ended well; not one of a backfill, whose window says nothing of the others'. */
export interface DoneLoad {
  loadId: LoadId;
  plan: LoadPlan;
  window: CursorWindow;
  receipt: Receipt;
  /** ISO 8601. */
  closedAt: string;
  /** Another load of the sync is open. */
  isFollowed: boolean;
}

/** A reject as it is kept: the values are the customer's, and shown to who may read them. */
export interface KeptReject extends Omit<Reject, 'values'> {
  id: string;
  loadId: string;
  partition: number;
  batch: number;
  /** Of the result, in the order of `values`. */
  columns: readonly string[];
  /** Null once it is settled. */
  values: readonly (string | null)[] | null;
  attempts: number;
  /** `stopped`: not committed, but why the run stopped; `settled`: a later load has read it again without being refused. */
  state: 'open' | 'stopped' | 'settled';
  firstSeenAt: string;
  lastSeenAt: string;
  settledAt: string | null;
}

/** What became of a run, as the destination knows it. */
export interface RunOutcome {
  /** Its last load is done: whatever was asked meanwhile, the run has succeeded. */
  succeeded: boolean;
  /** Sum over the loads that it finished. */
  receipt: Receipt;
  loads: readonly LoadId[];
}

export interface FinishRequest {
  run: RunId;
  load: LoadId;
  /** Absent: 50,000 rows and 20 percent. */
  limits?: PublishLimits;
  signal?: AbortSignal;
  /**
   * A load that leaves the run no work makes it final as well, in the transaction in which it becomes done. Where that takes
   * long it does not: see `outcome`.
   */
  closesRun?: boolean;
}

export interface FinishedLoad {
  receipt: Receipt;
  /** The run is to prepare again, because this load was an earlier run's. */
  another: boolean;
  /** The run was made final; absent: nothing was done about it. */
  outcome?: RunOutcome;
}

/** What is there of a sync, before anybody resets it. */
export interface ResetPreview {
  /** `staged`: none of its rows can be seen yet. */
  unfinished: { loadId: LoadId; mode: LoadPlan['mode']; staged: boolean; committed: Receipt } | null;
  /** Null: the next run reads from the beginning anyway. */
  cursorMovedAt: string | null;
  /** What it writes, quoted; `shared`: other syncs write it as well. */
  tables: { table: string; rows: number; shared: boolean }[];
}

export interface Destination {
  /** Creates or upgrades `_penstock`. Safe from any number of processes at once. */
  ensureSchema(): Promise<void>;
  /** Connects, logs in, runs nothing: DESTINATION_UNREACHABLE, DESTINATION_AUTH. The server's version. */
  check(): Promise<{ version: string }>;
  /** The target with its schema filled in, and its columns as they are now; null when it does not exist. */
  describeTarget(target: TableName): Promise<{ target: TableName; columns: readonly ResultColumn[] | null }>;
  /**
   * The cursor's value for this plan; null before the first load. When what it belonged to has changed
   * (`cursorIsFor`): null for an upsert, which can read everything again; CURSOR_CHANGED for an append.
   */
  fetchCursor(sync: SyncId, plan: LoadPlan): Promise<string | null>;
  /**
   * The load that the run works on, if there is one: one it opened itself (also when `done`), or the sync's unfinished
   * one when its plan is the same. One with another plan is abandoned (upsert; or nothing committed), or refused with
   * UNFINISHED_LOAD (append). RUN_FINAL.
   */
  findLoad(request: { run: RunId; sync: SyncId; plan: LoadPlan }): Promise<OpenLoad | null>;
  /**
   * Opens a load: owns and creates the target, freezes plan, window and partitions. CURSOR_MOVED when the
   * cursor is not at `window.low` any more; TARGET_OWNED, TARGET_MISMATCH, RUN_FINAL.
   */
  openLoad(request: {
    run: RunId;
    sync: SyncId;
    plan: LoadPlan;
    window: CursorWindow;
    /** Numbered from 1 in this order. */
    partitions: readonly PartitionBounds[];
    limits?: PublishLimits;
    /** Default: fail. */
    onSchemaChange?: OnSchemaChange;
    /** FENCED unless this is still the sync's newest load that is done; null: there was none. */
    lastDone?: LoadId | null | undefined;
  }): Promise<OpenLoad>;
  /** The load by id; null when the destination does not know it (restored to an older state). FENCED when abandoned. */
  fetchLoad(load: LoadId): Promise<OpenLoad | null>;
  /** Takes a partition for an attempt. FENCED, RUN_FINAL; LOAD_LOST when there is no such partition. */
  takeLease(request: LeaseRequest): Promise<PartitionWriter>;
  /**
   * Proves that every partition is complete, publishes, moves the cursor, stores the receipt; repeated, it returns the
   * stored one. TOO_MANY_DELETES: nothing was deleted, and the load is abandoned. The signal is looked at between the
   * transactions of publishing.
   */
  finish(request: FinishRequest): Promise<FinishedLoad>;
  /** Makes the run final: from now on nothing commits for it. Safe to repeat, also for runs never seen here. */
  closeRun(run: RunId): Promise<RunOutcome>;
  /** The sync's rejects, oldest first; without those that are settled unless they are asked for. */
  listRejects(sync: SyncId, page: PageRequest & { settled: boolean }): Promise<Page<KeptReject>>;
  /** The sync's load that is neither done nor abandoned, with what it has committed. */
  unfinishedLoad(
    sync: SyncId,
  ): Promise<{ loadId: LoadId; mode: LoadPlan['mode']; committed: Receipt } | null>;
  /**
   * For copies that no control database knows: makes every earlier run of the sync final and notes this one, so that the
   * next can do the same to it. Calls of one sync come one after the other, and the last of them stays. RUN_FINAL.
   */
  takeOver(request: { run: RunId; sync: SyncId }): Promise<void>;
  /** What a load with this plan would meet. Writes nothing, and tells every refusal. */
  forecast(request: {
    sync: SyncId;
    plan: LoadPlan;
    keepPrevious: boolean;
    onSchemaChange: OnSchemaChange;
  }): Promise<TargetForecast>;
  /** The sync's newest load that is done; null where there is none, or where it is not remembered any more. Writes nothing. */
  lastDoneLoad(sync: SyncId): Promise<DoneLoad | null>;
  /** The rows of a target, to be compared with the source's. Keeps no snapshot between its questions. */
  compare(rows: DestinationRows): ComparedTarget;
  /** What a reset of the sync would meet: what is unfinished, and what `deleteRows` would delete. */
  describeReset(sync: SyncId): Promise<ResetPreview>;
  /** Keeps the cursor for the next load although its plan is another: that load reads on from it. */
  keepCursor(sync: SyncId): Promise<void>;
  /** Abandons the unfinished load and keeps its rows: what is there is accepted. */
  acceptLoad(sync: SyncId): Promise<void>;
  /**
   * Forgets the cursor and abandons the unfinished load, so that the next run reads everything. `deleteRows` also
   * empties the target, refused with TARGET_OWNED when another sync writes to it.
   */
  resetSync(sync: SyncId, options: { deleteRows: boolean }): Promise<void>;
  /**
   * Gives up whatever the sync holds here: its targets, which others may write from now on, its cursor, its unfinished
   * load. Rows stay. For a sync whose runs are all final.
   */
  releaseSync(sync: SyncId): Promise<void>;
  /** Whether there is anything of ours here, which is then brought to the newest version; nothing is made. */
  wasUsed(): Promise<boolean>;
  /**
   * Forgets some of what was closed long ago (src/domain/retention.ts); never anything of a load that is open. How much:
   * with 0 nothing is left.
   */
  cleanUp(): Promise<number>;
  /** Runs that are not final here and were not begun just now, in order of their ids; a bounded number. */
  listOpenRuns(after: string): Promise<RunId[]>;
  /** Frees leases and drops tables that are left of loads that are over; how many of each. */
  dropOrphans(): Promise<{ leases: number; tables: number }>;
  /** What is wrong here, and with these runs; reads only. */
  audit(recorded: readonly RecordedReceipt[]): Promise<BrokenInvariant[]>;
  close(): Promise<void>;
}

/** What the control database says a run has read, and in which loads. */
export interface RecordedReceipt {
  readonly run: RunId;
  readonly loads: readonly LoadId[];
  readonly read: number;
}

/** Opens a destination; connecting happens at first use. */
export type OpenDestination = (access: ConnectionAccess) => Destination;
