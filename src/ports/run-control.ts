/** Runs as users see and steer them. Status changes are the guarded ones of src/domain/run-states.ts. */
import type { ErrorCode } from '../domain/errors.ts';
import type { RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { ReadRate } from '../domain/read-rate.ts';
import type {
  AttemptOutcome,
  PausableStep,
  Receipt,
  RunOrigin,
  RunStatus,
  WaitingReason,
} from '../domain/run-states.ts';
import type { TriggerPlan } from '../domain/trigger.ts';
import type { RunStep } from './run-store.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

/** Rows committed by all attempts so far. */
export interface RunProgress {
  rows: number;
  bytes: number;
  batches: number;
}

/** What a run at work has failed with, and tries again. */
export interface RunRetry {
  step: RunStep;
  code: ErrorCode;
  message: string;
  /** In a row, without getting any further. */
  times: number;
  since: string;
  /** The next try. */
  nextAt: string;
}

/** A step of a run at work that somebody has paused in the engine. It rests until it is unpaused there; the run keeps its place. */
export interface PausedStep {
  step: PausableStep;
  /** What the engine calls it. */
  activityId: string;
  /** In that person's own words, or the engine's; empty where the engine does not say. */
  by: string;
  reason: string;
  since: string;
}

export interface Run {
  id: RunId;
  tenantId: TenantId;
  syncId: SyncId;
  syncName: string;
  syncVersion: number;
  origin: RunOrigin;
  status: RunStatus;
  waitingReason: WaitingReason | null;
  /** Why it was cancelled or dropped: a word for programs. */
  endReason: string | null;
  priority: number;
  /** Of which it is a part. */
  backfillId: string | null;
  nominalAt: string | null;
  dueAt: string;
  queuedAt: string;
  startedAt: string | null;
  endedAt: string | null;
  workflowId: string;
  error: { code: ErrorCode; message: string | null } | null;
  /** null: nothing is known to be in its way. */
  retry: RunRetry | null;
  /** As a dispatcher last saw it, less than a minute ago. */
  pausedSteps: PausedStep[];
  receipt: Receipt | null;
  progress: RunProgress;
  /** Executions of the copy activity so far. */
  attempts: number;
}

export interface RunFilter {
  syncId?: SyncId | undefined;
  status?: readonly RunStatus[] | undefined;
  origin?: RunOrigin | undefined;
}

export interface RunEvent {
  id: string;
  at: string;
  kind: string;
  data: Record<string, unknown>;
}

/** One execution of the copy activity, at one partition. */
export interface RunAttempt {
  partition: number;
  /** Decimal text, as it exceeds 2^53; rises from one attempt at a partition to the next. */
  epoch: string;
  worker: string;
  startedAt: string;
  endedAt: string | null;
  /** null: it is copying, or its worker has died. */
  outcome: AttemptOutcome | null;
  /** Committed by it. */
  rows: number;
  bytes: number;
  batches: number;
  /** What it may read of its source's rate, or last might; null: any number. */
  share: ReadRate | null;
  error: { code: ErrorCode; message: string | null } | null;
}

export interface TriggerRequest {
  /** Undefined: a random one. */
  requestKey: string | undefined;
  /** Undefined: the sync's. */
  priority: number | undefined;
  /** Absent: a run of its own, now, whatever is open. */
  plan?: TriggerPlan;
}

export interface RunControl {
  /**
   * Queues a run of the sync (id or name), or takes one that is open; the same request key gives the same run.
   * NOT_FOUND; CONFLICT when a run is open and the request is to be refused then.
   */
  trigger(scope: Scope, syncRef: string, request: TriggerRequest): Promise<{ run: Run; created: boolean }>;
  /** NOT_FOUND also for another tenant's. */
  fetch(scope: Scope, runId: string): Promise<Run>;
  /** Newest first. */
  list(scope: Scope, filter: RunFilter, page: PageRequest): Promise<Page<Run>>;
  /** Oldest first. */
  listEvents(scope: Scope, runId: string, page: PageRequest): Promise<Page<RunEvent>>;
  /** Newest first. */
  listAttempts(scope: Scope, runId: string, page: PageRequest): Promise<Page<RunAttempt>>;
  /** Moves a run that waits for a place. RUN_STATE when it does not wait. */
  setPriority(scope: Scope, runId: string, priority: number): Promise<Run>;
  /** A queued run ends at once, an active one becomes `cancelling`; one that is cancelling or cancelled stays. RUN_STATE. */
  cancel(scope: Scope, runId: string): Promise<Run>;
  /** A running run becomes `pausing`; one that is pausing or paused stays. RUN_STATE; ENGINE_UNREACHABLE: ask again. */
  pause(scope: Scope, runId: string): Promise<Run>;
  /** A pausing or paused run becomes `running`; one that is running stays. RUN_STATE; ENGINE_UNREACHABLE: ask again. */
  resume(scope: Scope, runId: string): Promise<Run>;
}
