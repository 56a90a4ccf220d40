/**
 * The states of a run and every change that is allowed between them.
 *
 * Invariants:
 *  1. A run is in exactly one status; the set is closed.
 *  2. A final status (succeeded, failed, cancelled) is never left.
 *  3. Every change is one guarded SQL update (`where status = any(from)`) with its event in the same transaction
 *     (src/storage/run-status.ts). Nothing else writes `run.status`.
 *  4. At most one run of a sync is past `queued` and not final, unless its sync allows overlap.
 */
export const runStatuses = [
  'queued',
  'starting',
  'running',
  'pausing',
  'paused',
  'cancelling',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type RunStatus = (typeof runStatuses)[number];

export const finalStatuses = ['succeeded', 'failed', 'cancelled'] as const satisfies readonly RunStatus[];
export type FinalStatus = (typeof finalStatuses)[number];

/** Past `queued` and not final: the run has, or may have, a workflow. */
export const activeStatuses = [
  'starting',
  'running',
  'pausing',
  'paused',
  'cancelling',
] as const satisfies readonly RunStatus[];

export const isFinal = (status: RunStatus): status is FinalStatus =>
  (finalStatuses as readonly RunStatus[]).includes(status);

/** Every change: from → to. Who makes it, and what goes with it, is in the table of ARCHITECTURE.md. */
export const runChanges = {
  start: { from: ['queued'], to: 'starting' },
  drop: { from: ['queued'], to: 'cancelled' },
  prepare: { from: ['starting', 'running'], to: 'running' },
  pause: { from: ['running'], to: 'pausing' },
  settlePause: { from: ['pausing'], to: 'paused' },
  resume: { from: ['paused', 'pausing'], to: 'running' },
  cancel: { from: ['starting', 'running', 'pausing', 'paused'], to: 'cancelling' },
  /** A load found done makes its run succeeded whatever was asked meanwhile. */
  succeed: { from: ['starting', 'running', 'pausing', 'paused', 'cancelling'], to: 'succeeded' },
  fail: { from: ['starting', 'running', 'pausing', 'paused'], to: 'failed' },
  /** Also from what was not asked to: a workflow that was cancelled in Temporal, or that took longer than it may. */
  settleCancel: { from: ['cancelling', 'starting', 'running', 'pausing', 'paused'], to: 'cancelled' },
} as const satisfies Record<string, { from: readonly RunStatus[]; to: RunStatus }>;
export type RunChange = keyof typeof runChanges;

export const runOrigins = ['schedule', 'manual', 'backfill', 'after', 'retry'] as const;
export type RunOrigin = (typeof runOrigins)[number];

/** What a backfill is at: its parts go on until all have succeeded, or one has not. */
export const backfillStatuses = ['running', ...finalStatuses] as const;
export type BackfillStatus = (typeof backfillStatuses)[number];

/** What became of a slot: of its run where it made one, else why it made none. */
export const slotOutcomes = [
  'started',
  'coalesced',
  'skipped_overlap',
  'skipped_paused',
  'skipped_on_request',
  'skipped_unchanged',
  'missed',
  'failed_start',
] as const;
export type SlotOutcome = (typeof slotOutcomes)[number];

/** Why a run is waiting. Rows keep those that a place would not end; `explain` finds any (src/domain/explain-run.ts). */
export const waitingReasons = [
  'not_due',
  'sync_paused',
  'tenant_paused',
  'all_paused',
  'previous_run',
  'global_cap',
  'tenant_cap',
  'connection_cap',
  'rate_limited',
  'cooling_down',
  'back_off',
  'behind',
  'no_worker',
  'engine_unreachable',
  'draining',
  'step_paused',
] as const;
export type WaitingReason = (typeof waitingReasons)[number];

/** Steps of a run that somebody may pause in the engine, without the run being paused. */
export const pausableSteps = ['prepare', 'copy', 'finish', 'close'] as const;
export type PausableStep = (typeof pausableSteps)[number];

/** What becomes of an attempt at a partition. `fenced`: another one has replaced it, or its run is final. */
export const attemptOutcomes = ['finished', 'yielded', 'fenced', 'failed', 'cancelled'] as const;
export type AttemptOutcome = (typeof attemptOutcomes)[number];

/** A run's final numbers: the sum of its loads' checkpoints. All counts are rows. */
export interface Receipt {
  read: number;
  inserted: number;
  updated: number;
  unchanged: number;
  deduplicated: number;
  rejected: number;
  /** rows that say that their key is gone (`deletedWhen`), whether the target had it or not */
  tombstones: number;
  /** rows removed from the target, or marked; counted apart, not part of `read` */
  deleted: number;
  batches: number;
  bytes: number;
}

/** P4: a run may be `succeeded` only when its receipt adds up. */
export const addsUp = (r: Receipt): boolean =>
  r.read === r.inserted + r.updated + r.unchanged + r.deduplicated + r.rejected + r.tombstones;
