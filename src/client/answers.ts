/**
 * What the API answers, as types. They are written out so that the client needs nothing of the server; a test holds
 * them equal to the schemas from which the API and its OpenAPI document are made.
 */
import type { ApiKeyRole } from '../domain/access.ts';
import type { RunOrder } from '../domain/priority.ts';
import type {
  AttemptOutcome,
  BackfillStatus,
  PausableStep,
  Receipt,
  RunOrigin,
  RunStatus,
  SlotOutcome,
  WaitingReason,
} from '../domain/run-states.ts';
import type { ReadRate } from '../domain/read-rate.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';

/** ISO 8601, UTC. */
type Timestamp = string;

export interface Page<T> {
  items: T[];
  /** Cursor of the next page; null: this is the last. */
  next: string | null;
}

export interface TenantAnswer {
  id: string;
  name: string;
  version: number;
  weight: number;
  maxRuns: number;
  minInterval: string | null;
  order: RunOrder;
  createdAt: Timestamp;
}

/** Of a sync, of a tenant (`syncId` is null), or of all (both are null). */
export interface PauseAnswer {
  id: string;
  tenantId: string | null;
  syncId: string | null;
  reason: string | null;
  since: Timestamp;
  until: Timestamp | null;
}

export interface ApiKeyAnswer {
  id: string;
  /** null: an operator's key. */
  tenantId: string | null;
  name: string;
  role: ApiKeyRole;
  prefix: string;
  createdAt: Timestamp;
  expiresAt: Timestamp | null;
  revokedAt: Timestamp | null;
}

export interface ConnectionAnswer {
  id: string;
  /** null: the operator's. */
  tenantId: string | null;
  name: string;
  kind: string;
  version: number;
  host: string;
  port: number;
  database: string;
  user: string;
  tls: { mode: 'disable' | 'require' | 'verify-full'; ca?: string | undefined };
  maxRuns: number;
  startsPerMinute: number | null;
  rowsPerSecond: number | null;
  bytesPerSecond: number | null;
  coolUntil: Timestamp | null;
  /** Whose workers take its runs; null: the common ones. */
  workerClass: string | null;
  createdAt: Timestamp;
  updatedAt: Timestamp;
}

export interface ResetPreviewAnswer {
  id: string;
  /** `staged`: none of its rows can be seen yet. */
  unfinished: { loadId: string; mode: string; staged: boolean; committed: Receipt } | null;
  cursorMovedAt: Timestamp | null;
  tables: { table: string; rows: number; shared: boolean }[];
}

export interface SyncAnswer extends SyncSpec {
  id: string;
  tenantId: string;
  version: number;
  status: 'active' | 'broken';
  brokenReason: string | null;
  pause: { id: string; reason: string | null; since: Timestamp; until: Timestamp | null } | null;
  nextNominalAt: Timestamp | null;
  nextDueAt: Timestamp | null;
  nextIsSkipped: boolean;
  createdAt: Timestamp;
  updatedAt: Timestamp;
}

export interface SlotAnswer {
  nominalAt: Timestamp;
  nominalTo: Timestamp;
  syncVersion: number;
  runId: string | null;
  outcome: SlotOutcome | null;
}

export interface CadenceAnswer {
  dueTimes: number;
  from: Timestamp | null;
  to: Timestamp | null;
  outcomes: Partial<Record<SlotOutcome | 'waiting', number>>;
  succeeded: number;
  askedEveryS: number | null;
  ranEveryS: number | null;
}

/** What a run has failed with and tries again by itself. */
export interface RunRetryAnswer {
  step: string;
  code: string;
  message: string;
  cure: string;
  times: number;
  since: Timestamp;
  nextAt: Timestamp;
}

/** A stretch of a sync's cursor that is read again, part by part. */
export interface BackfillAnswer {
  id: string;
  tenantId: string;
  syncId: string;
  syncName: string;
  /** Rows whose cursor is above `from`, up to and with `to`. */
  from: string;
  to: string;
  every: string | null;
  status: BackfillStatus;
  parts: number;
  /** Parts that have succeeded, and the rows that they have read. */
  done: number;
  rows: number;
  /** The part that is queued or at work, or was the last. */
  current: { part: number; from: string; to: string; runId: string; status: RunStatus };
  createdAt: Timestamp;
  endedAt: Timestamp | null;
}

export interface RunAnswer {
  id: string;
  tenantId: string;
  syncId: string;
  syncName: string;
  syncVersion: number;
  origin: RunOrigin;
  status: RunStatus;
  waitingReason: WaitingReason | null;
  endReason: string | null;
  priority: number;
  /** Of which it is a part. */
  backfillId: string | null;
  nominalAt: Timestamp | null;
  dueAt: Timestamp;
  queuedAt: Timestamp;
  startedAt: Timestamp | null;
  endedAt: Timestamp | null;
  workflowId: string;
  error: { code: string; message: string | null; cure: string } | null;
  retry: RunRetryAnswer | null;
  /** What somebody has paused of it in Temporal. */
  pausedSteps: { step: PausableStep; activityId: string; by: string; reason: string; since: Timestamp }[];
  receipt: Receipt | null;
  progress: { rows: number; bytes: number; batches: number };
  attempts: number;
  links: { self: string; sync: string; temporal?: string | undefined };
}

export interface RunEventAnswer {
  id: string;
  at: Timestamp;
  kind: string;
  data: Record<string, unknown>;
}

export interface RunAttemptAnswer {
  partition: number;
  epoch: string;
  worker: string;
  startedAt: Timestamp;
  endedAt: Timestamp | null;
  /** null: it is copying, or its worker has died. */
  outcome: AttemptOutcome | null;
  rows: number;
  bytes: number;
  batches: number;
  /** What it may read of its source's rate, or last might; null: any number. */
  share: ReadRate | null;
  error: { code: string; message: string | null; cure: string } | null;
}

export interface RejectAnswer {
  id: string;
  loadId: string;
  partition: number;
  batch: number;
  state: 'open' | 'stopped' | 'settled';
  key: (string | null)[] | null;
  rows: number;
  columns: string[];
  values: (string | null)[] | null;
  sqlstate: string;
  column: string | null;
  constraint: string | null;
  cause: string;
  attempts: number;
  firstSeenAt: Timestamp;
  lastSeenAt: Timestamp;
  settledAt: Timestamp | null;
}

/** Why a run is not at work. */
export interface RunExplanationAnswer {
  runId: string;
  status: RunStatus;
  /** null: it waits for nothing. */
  reason: WaitingReason | null;
  until: Timestamp | null;
  /** Among all that wait; 1 is next. */
  position: number | null;
  places: { held: number; cap: number } | null;
  /** With `no_worker`: the class that lacks one; null: the common workers. */
  workerClass: string | null;
  holders: { runId: string; syncName: string; status: RunStatus; startedAt: Timestamp | null }[];
  /** How fast it may read now; null: it reads nothing, or at any rate. */
  pace: { connection: string; limit: ReadRate; attempts: number; share: ReadRate } | null;
}
