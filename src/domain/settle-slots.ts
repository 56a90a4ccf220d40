/**
 * The decision of *tick*, without clock or database: what becomes of every due time of a sync that has passed.
 *
 *  1. Every fire time from the next nominal time up to now ends in exactly one slot: the run's, or a run-less row.
 *  2. A slot that was to be skipped is `skipped_on_request`; one covered by a pause `skipped_paused`; else, found later than the catch-up policy lets it run, `missed`.
 *  3. The others may run while the overlap policy has room beside open runs; without room they are `skipped_overlap`.
 *     With `all` each runs, oldest first; else the newest does, and the rest are `coalesced`.
 *  4. The work is bounded by the number of pauses and of runs, not of slots: rows are known by their two ends.
 *  5. One settling makes `mostRunsAtOnce` runs at most. What is left of the past is settled by the next.
 */
import { type DueTimeOf, dueTimesOf, jitterMsOf, type MovedSlot } from './due-time.ts';
import type { SyncId } from './ids.ts';
import type { SlotOutcome } from './run-states.ts';
import { latestDue, nextDue } from './schedule.ts';
import type { Schedule } from './schedule-spec.ts';
import type { SyncSpec } from './sync-spec.ts';

/** A pause of the sync, its tenant or all: from `fromMs` up to, and without, `untilMs`; null is until resumed. */
export interface PauseInterval {
  readonly fromMs: number;
  readonly untilMs: number | null;
}

/** How many runs of a sync are queued and due, and how many are past it and not final. */
export interface OpenRuns {
  readonly queued: number;
  readonly atWork: number;
}

/** What has been decided about single slots of the sync, beside its spec. */
export interface SlotTerms {
  readonly moved: MovedSlot | null;
  /** The nominal time of a slot that is not to run. */
  readonly skippedMs: number | null;
  /** Runs that the schedule may yet make; null: any number. */
  readonly runsLeft: number | null;
}

export interface SettleInput {
  readonly syncId: SyncId;
  readonly schedule: Schedule;
  readonly terms: SlotTerms;
  /** The first fire time that has no slot yet; null: there is none. */
  readonly nextNominalMs: number | null;
  /** Control Postgres' `clock_timestamp()`, never this machine's clock. */
  readonly nowMs: number;
  readonly catchUp: { readonly windowMs: number; readonly policy: SyncSpec['catchUp']['policy'] };
  readonly overlap: SyncSpec['overlap'];
  readonly openRuns: OpenRuns;
  /** All pauses that touch the time from `nextNominalMs` to `nowMs`; they may overlap, in any order. */
  readonly pauses: readonly PauseInterval[];
}

/** Consecutive slots without a run that share an outcome: their first and last nominal time. */
export interface RunlessSlots {
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: Exclude<SlotOutcome, 'started' | 'failed_start' | 'skipped_unchanged'>;
}

/** A slot that makes a run. */
export interface RunSlot {
  readonly nominalMs: number;
  readonly dueMs: number;
}

type SettledSlot = RunlessSlots | RunSlot;

/** Whether the slot makes a run. */
export const isRunSlot = (slot: SettledSlot): slot is RunSlot => 'dueMs' in slot;

export interface Settlement {
  /** In order of nominal time. The first may continue the sync's newest row if neither has a run and their outcome is one. */
  readonly slots: readonly SettledSlot[];
  /** Up to now: some of the past is left, to be settled by the next. */
  readonly nextNominalMs: number | null;
  readonly nextDueMs: number | null;
}

/**
 * A slot this late is still in time, however short its window: twice the sweep that finds what the index has lost, so
 * that `window: 0s` does not mean "never".
 */
const leastWindowMs = 10_000;

/** Runs that one settling makes for a sync: no transaction grows with the length of an outage. */
export const mostRunsAtOnce = 100;

/** Runs of a sync that may be open at once with `buffer_all`. */
export const mostBuffered = 1_000;

/**
 * How many more runs the overlap policy lets be made. With `cancel_other` the run that waits already will do what the due
 * time asks for: if each were replaced by the next, a sync that waits for longer than its period would never run.
 */
function roomFor(overlap: SyncSpec['overlap'], { queued, atWork }: OpenRuns): number {
  if (overlap === 'cancel_other') return queued > 0 ? 0 : 1;
  const most = { skip: 1, buffer_one: 2, buffer_all: mostBuffered }[overlap];
  return Math.max(0, most - queued - atWork);
}

/** Until when a slot may start; a queued run past it ends `cancelled`, reason `missed`. */
export const catchUpDeadline = (nominalMs: number, windowMs: number): number =>
  nominalMs + Math.max(windowMs, leastWindowMs);

/** A piece of the past with one verdict, from its first to its last fire time. */
interface Piece {
  readonly fromMs: number;
  readonly toMs: number;
  readonly verdict: 'skipped_paused' | 'skipped_on_request' | 'missed' | 'may_run';
}

/** Decides what becomes of the slots that are due. Calling it again with its own answer and the same now changes nothing. */
export function settleSlots(input: SettleInput): Settlement {
  const dueOf = dueTimesOf(input.syncId, input.schedule, input.terms.moved);
  const past = cutPast(input, dueOf);
  const room = roomFor(input.overlap, input.openRuns);
  const runsEach = input.catchUp.policy === 'all' && room > 0;
  const decided = runsEach
    ? runEach(input.schedule, past, room, dueOf)
    : runNewest(input.schedule, past, room, dueOf);
  const { slots, nextNominalMs } = endedAfter(decided, input.terms.runsLeft);
  return { slots, nextNominalMs, nextDueMs: nextNominalMs === null ? null : dueOf(nextNominalMs) };
}

type Decided = Omit<Settlement, 'nextDueMs'>;

/** With its last run the schedule is over: nothing after it was a due time. */
function endedAfter(decided: Decided, runsLeft: number | null): Decided {
  if (runsLeft === null) return decided;
  if (runsLeft <= 0) return { slots: [], nextNominalMs: null };
  const last = decided.slots.filter(isRunSlot)[runsLeft - 1];
  if (!last) return decided;
  return { slots: decided.slots.slice(0, decided.slots.indexOf(last) + 1), nextNominalMs: null };
}

/** The newest slot that may run makes one, if there is room. */
function runNewest(
  schedule: Schedule,
  { pieces, nextNominalMs }: Past,
  room: number,
  dueOf: DueTimeOf,
): Decided {
  const newest = room > 0 ? pieces.findLast((piece) => piece.verdict === 'may_run') : undefined;
  const slots: SettledSlot[] = [];
  for (const piece of pieces) {
    const { fromMs, toMs, verdict } = piece;
    if (verdict !== 'may_run') append(slots, { fromMs, toMs, outcome: verdict });
    else if (room === 0) append(slots, { fromMs, toMs, outcome: 'skipped_overlap' });
    else if (piece !== newest) append(slots, { fromMs, toMs, outcome: 'coalesced' });
    else {
      if (fromMs < toMs)
        append(slots, { fromMs, toMs: latestDue(schedule, toMs - 1)!, outcome: 'coalesced' });
      slots.push({ nominalMs: toMs, dueMs: dueOf(toMs) });
    }
  }
  return { slots, nextNominalMs };
}

/** Each slot that may run makes one, oldest first, while there is room. */
function runEach(
  schedule: Schedule,
  { pieces, nextNominalMs }: Past,
  room: number,
  dueOf: DueTimeOf,
): Decided {
  const slots: SettledSlot[] = [];
  let runs = 0;
  for (const { fromMs, toMs, verdict } of pieces) {
    if (verdict !== 'may_run') {
      append(slots, { fromMs, toMs, outcome: verdict });
      continue;
    }
    let nominalMs: number | null = fromMs;
    for (; nominalMs !== null && nominalMs <= toMs && runs < room; runs += 1) {
      if (runs === mostRunsAtOnce) return { slots, nextNominalMs: nominalMs };
      slots.push({ nominalMs, dueMs: dueOf(nominalMs) });
      nominalMs = nextDue(schedule, nominalMs);
    }
    if (nominalMs !== null && nominalMs <= toMs)
      append(slots, { fromMs: nominalMs, toMs, outcome: 'skipped_overlap' });
  }
  return { slots, nextNominalMs };
}

/** Slots on both sides of a run's are never one row. */
function append(slots: SettledSlot[], row: RunlessSlots): void {
  const last = slots.at(-1);
  if (last && !isRunSlot(last) && last.outcome === row.outcome)
    slots[slots.length - 1] = { ...last, toMs: row.toMs };
  else slots.push(row);
}

interface Past {
  readonly pieces: readonly Piece[];
  readonly nextNominalMs: number | null;
}

function cutPast(input: SettleInput, dueOf: DueTimeOf): Past {
  const { schedule } = input;
  const lastMs = lastDueMs(input, dueOf);
  const cuts = cutsOf(input);
  const pieces: Piece[] = [];
  let fromMs = input.nextNominalMs;
  while (fromMs !== null && fromMs <= lastMs) {
    const start = fromMs;
    const cutMs = cuts.find((cut) => cut > start) ?? Infinity;
    // a nominal time that the schedule would not give stands for itself
    const toMs = Math.max(start, latestDue(schedule, Math.min(cutMs - 1, lastMs)) ?? start);
    pieces.push({ fromMs, toMs, verdict: verdictAt(fromMs, input) });
    fromMs = nextDue(schedule, toMs);
  }
  return { pieces, nextNominalMs: fromMs };
}

/** No slot with a later nominal time is due: jitter or a move may keep the newest one from it, and no other. */
function lastDueMs({ schedule, terms, nextNominalMs, nowMs }: SettleInput, dueOf: DueTimeOf): number {
  if (nextNominalMs === null || (jitterMsOf(schedule) === 0 && terms.moved === null)) return nowMs;
  const newestMs = Math.max(nextNominalMs, latestDue(schedule, nowMs) ?? nextNominalMs);
  return dueOf(newestMs) > nowMs ? newestMs - 1 : nowMs;
}

/** Instants at which the verdict may change. */
function cutsOf(input: SettleInput): number[] {
  const { moved, skippedMs } = input.terms;
  const edges = input.pauses.flatMap(({ fromMs, untilMs }) => [fromMs, untilMs ?? Infinity]);
  const single = [skippedMs, moved?.nominalMs ?? null].flatMap((ms) => (ms === null ? [] : [ms, ms + 1]));
  return [windowStartMs(input), ...edges, ...single].sort((a, b) => a - b);
}

function verdictAt(nominalMs: number, input: SettleInput): Piece['verdict'] {
  const { pauses, terms, nowMs } = input;
  if (nominalMs === terms.skippedMs) return 'skipped_on_request';
  const isPaused = pauses.some((p) => p.fromMs <= nominalMs && nominalMs < (p.untilMs ?? Infinity));
  if (isPaused) return 'skipped_paused';
  if (nominalMs === terms.moved?.nominalMs)
    return nowMs - terms.moved.dueMs > latenessOf(input.catchUp) ? 'missed' : 'may_run';
  return nominalMs < windowStartMs(input) ? 'missed' : 'may_run';
}

/** Slots before it are found too late to run. The window begins where the jitter ends. */
const windowStartMs = ({ schedule, catchUp, nowMs }: SettleInput): number =>
  nowMs - jitterMsOf(schedule) - latenessOf(catchUp);

/** How late a slot may be found and still run. */
const latenessOf = ({ policy, windowMs }: SettleInput['catchUp']): number =>
  catchUpDeadline(0, policy === 'none' ? 0 : windowMs);
