/**
 * The decision of *tick*, without clock or database: what becomes of every due time of a sync that has passed.
 *
 *  1. Every fire time from the next nominal time up to now ends in exactly one slot: the run's, or a run-less row.
 *  2. A slot covered by a pause is `skipped_paused`; else, older than the catch-up window, `missed`.
 *  3. The others may run. With an open run they are `skipped_overlap`; else the newest runs, the rest are `coalesced`.
 *  4. The work is bounded by the number of pauses, not of slots: rows are known by their two ends.
 */
import type { SlotOutcome } from './run-states.ts';
import { latestDue, nextDue } from './schedule.ts';
import type { Schedule } from './sync-spec.ts';

/** A pause of the sync, its tenant or all: from `fromMs` up to, and without, `untilMs`; null is until resumed. */
export interface PauseInterval {
  readonly fromMs: number;
  readonly untilMs: number | null;
}

export interface SettleInput {
  readonly schedule: Schedule;
  /** The first fire time that has no slot yet; null: there is none. */
  readonly nextNominalMs: number | null;
  /** Control Postgres' `clock_timestamp()`, never this machine's clock. */
  readonly nowMs: number;
  readonly catchUp: { readonly windowMs: number; readonly policy: 'one' };
  readonly overlap: 'skip';
  /** Whether a run of the sync is queued, or past it and not final. */
  readonly hasOpenRun: boolean;
  /** All pauses that touch the time from `nextNominalMs` to `nowMs`; they may overlap, in any order. */
  readonly pauses: readonly PauseInterval[];
}

/** Consecutive slots without a run that share an outcome: their first and last nominal time. */
interface RunlessSlots {
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: Extract<SlotOutcome, 'coalesced' | 'skipped_overlap' | 'skipped_paused' | 'missed'>;
}

export interface Settlement {
  /** In order of nominal time. The first may continue the sync's newest row if that has no run and the same outcome. */
  readonly slots: readonly RunlessSlots[];
  /** The run to make, with its slot; null: none. */
  readonly run: { readonly nominalMs: number; readonly dueMs: number } | null;
  readonly nextNominalMs: number | null;
  readonly nextDueMs: number | null;
}

/**
 * A slot this late is still in time, however short its window: twice the sweep that finds what the index has lost, so
 * that `window: 0s` does not mean "never".
 */
const leastWindowMs = 10_000;

/** Until when a slot may start; a queued run past it ends `cancelled`, reason `missed`. */
export const catchUpDeadline = (nominalMs: number, windowMs: number): number =>
  nominalMs + Math.max(windowMs, leastWindowMs);

/** A piece of the past with one verdict, from its first to its last fire time. */
interface Piece {
  readonly fromMs: number;
  readonly toMs: number;
  readonly verdict: 'paused' | 'too_late' | 'may_run';
}

/** Decides what becomes of the slots that are due. Calling it again with its own answer and the same now changes nothing. */
export function settleSlots(input: SettleInput): Settlement {
  const { pieces, nextNominalMs } = cutPast(input);
  const newest = input.hasOpenRun ? undefined : pieces.findLast((piece) => piece.verdict === 'may_run');
  const runMs = newest?.toMs ?? null;
  const slots: RunlessSlots[] = [];
  for (const piece of pieces) {
    const { fromMs, toMs } = piece;
    if (piece !== newest) append(slots, { fromMs, toMs, outcome: outcomeOf(piece, input) }, runMs);
    else if (fromMs < toMs)
      append(slots, { fromMs, toMs: latestDue(input.schedule, toMs - 1)!, outcome: 'coalesced' }, runMs);
  }
  const run = runMs === null ? null : { nominalMs: runMs, dueMs: runMs };
  return { slots, run, nextNominalMs, nextDueMs: nextNominalMs };
}

function outcomeOf(piece: Piece, input: SettleInput): RunlessSlots['outcome'] {
  if (piece.verdict === 'paused') return 'skipped_paused';
  if (piece.verdict === 'too_late') return 'missed';
  return input.hasOpenRun ? 'skipped_overlap' : 'coalesced';
}

/** Slots on both sides of the run's are never one row. */
function append(slots: RunlessSlots[], row: RunlessSlots, runMs: number | null): void {
  const last = slots.at(-1);
  const isParted = runMs !== null && last !== undefined && last.toMs < runMs && runMs < row.fromMs;
  if (last?.outcome === row.outcome && !isParted) slots[slots.length - 1] = { ...last, toMs: row.toMs };
  else slots.push(row);
}

function cutPast(input: SettleInput): { pieces: Piece[]; nextNominalMs: number | null } {
  const { schedule, nowMs } = input;
  const cuts = cutsOf(input);
  const pieces: Piece[] = [];
  let fromMs = input.nextNominalMs;
  while (fromMs !== null && fromMs <= nowMs) {
    const start = fromMs;
    const cutMs = cuts.find((cut) => cut > start) ?? Infinity;
    // a nominal time that the schedule would not give (it was moved) stands for itself
    const toMs = Math.max(start, latestDue(schedule, Math.min(cutMs - 1, nowMs)) ?? start);
    pieces.push({ fromMs, toMs, verdict: verdictAt(fromMs, input) });
    fromMs = nextDue(schedule, toMs);
  }
  return { pieces, nextNominalMs: fromMs };
}

/** Instants at which the verdict may change. */
function cutsOf({ pauses, nowMs, catchUp }: SettleInput): number[] {
  const windowStartMs = nowMs - catchUpDeadline(0, catchUp.windowMs);
  const edges = pauses.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs ?? Infinity]);
  return [windowStartMs, ...edges].sort((a, b) => a - b);
}

function verdictAt(nominalMs: number, { pauses, nowMs, catchUp }: SettleInput): Piece['verdict'] {
  const isPaused = pauses.some((p) => p.fromMs <= nominalMs && nominalMs < (p.untilMs ?? Infinity));
  if (isPaused) return 'paused';
  return catchUpDeadline(nominalMs, catchUp.windowMs) < nowMs ? 'too_late' : 'may_run';
}
