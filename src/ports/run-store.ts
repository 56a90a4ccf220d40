/** The control database as the activities of a run see it: one run, its frozen spec, its changes of status. */
import type { Failure } from '../domain/describe-error.ts';
import type { LoadId, RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { ReadRate } from '../domain/read-rate.ts';
import type { AttemptOutcome, Receipt, RunOrigin, RunStatus } from '../domain/run-states.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { ConnectionAccess } from './connection.ts';
import type { CursorWindow } from './source.ts';

/** A run with everything that executing it needs. Versions are frozen by the first prepare; only secrets are read again. */
export interface RunWork {
  runId: RunId;
  tenantId: TenantId;
  tenantName: string;
  syncId: SyncId;
  syncName: string;
  syncVersion: number;
  origin: RunOrigin;
  status: RunStatus;
  /** What it reads, and no more, if it is a part of a backfill. */
  window: CursorWindow | null;
  spec: SyncSpec;
  source: ConnectionAccess;
  destination: ConnectionAccess;
}

export interface AttemptKey {
  runId: RunId;
  partition: number;
  /** The lease epoch that the attempt asked for, as a decimal string (it exceeds 2^53). */
  epoch: string;
}

export interface BegunAttempt {
  work: RunWork;
  /** Of the source's read rate; null: it may read at any rate. */
  share: ReadRate | null;
}

/** Committed by one attempt. */
export interface AttemptCounts {
  rows: number;
  bytes: number;
  batches: number;
}

export interface AttemptEnd extends AttemptCounts {
  outcome: AttemptOutcome;
  error?: Failure & { class: 'transient' | 'persistent' };
}

/** Where a run may fail and try again: one partition, or what comes before, after and at the end of all. */
export type RunStep = 'prepare' | `partition ${number}` | 'finish' | 'close';

export interface RunStore {
  /**
   * Makes a `starting` or `running` run `running` (repeatable) and a `pausing` one `paused`, and returns its work.
   * A run that is cancelling or final is returned as it is: its workflow ends.
   */
  prepare(runId: RunId): Promise<RunWork>;
  /** The run's work without changing anything. NOT_FOUND when there is no such run. */
  fetchWork(runId: RunId): Promise<RunWork>;
  /** `pausing` becomes `paused`; the status it has now. */
  settlePause(runId: RunId): Promise<RunStatus>;
  /** Stores the receipt and makes the run succeeded; finding it final changes nothing. The status it has now. */
  succeed(runId: RunId, receipt: Receipt, loadIds: readonly LoadId[]): Promise<RunStatus>;
  /** Makes the run failed with the error's code and message. The status it has now. */
  fail(runId: RunId, error: { code: string; message: string }): Promise<RunStatus>;
  /** Makes the run cancelled, for a reason other than that somebody asked when there is one. The status it has now. */
  settleCancel(runId: RunId, reason?: string): Promise<RunStatus>;
  /** Notes what the source is like as the run begins; whether it is as the last run found it, so that this one may be skipped. */
  noteFingerprint(runId: RunId, fingerprint: string): Promise<boolean>;
  /** Whether that sync was deleted. */
  isSyncDeleted(syncId: string): Promise<boolean>;
  /** Records something that happened to the run, for its story. Names and counts, no values. */
  note(runId: RunId, kind: `run.${string}`, data: Readonly<Record<string, unknown>>): Promise<void>;
  /** Shows that the step has failed and is tried again; attempts at partitions show it by their ends. */
  noteRetry(runId: RunId, step: RunStep, failure: Failure): Promise<void>;
  /** Has a dispatcher look soon at what the engine says of the run. */
  askForLook(runId: RunId): Promise<void>;
  /** The run's work. Records the attempt, before it reads, unless the run is final. */
  beginAttempt(attempt: AttemptKey & { worker: string }): Promise<BegunAttempt>;
  /** Records how far the attempt is, and renews the share that it reads by until it hears of another: its share from then on. */
  reportAttempt(attempt: AttemptKey, counts: AttemptCounts, inUse: ReadRate | null): Promise<ReadRate | null>;
  endAttempt(attempt: AttemptKey, end: AttemptEnd): Promise<void>;
}
