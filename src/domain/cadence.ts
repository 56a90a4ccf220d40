/** How often a sync runs against how often it was asked to: counted over its newest due times, from their slots. */
import type { SlotOutcome } from './run-states.ts';
import type { Schedule } from './schedule-spec.ts';
import { latestDue } from './schedule.ts';

/** Slots that share an outcome, or the one of a run, under the schedule that made them. */
export interface PastSlots {
  readonly fromMs: number;
  readonly toMs: number;
  readonly schedule: Schedule;
  /** null: its run still waits. */
  readonly outcome: SlotOutcome | null;
  readonly succeeded: boolean;
}

export interface Cadence {
  /** Due times that were looked at: the newest ones. */
  readonly dueTimes: number;
  /** The first and the last of them; null: there are none. */
  readonly fromMs: number | null;
  readonly toMs: number | null;
  /** How many ended how; outcomes that none had are left out. */
  readonly outcomes: Readonly<Partial<Record<SlotOutcome | 'waiting', number>>>;
  /** Runs of them that have succeeded. */
  readonly succeeded: number;
  /** Mean time from one due time to the next, and from one that ran to the next; null: there are not two. */
  readonly askedEveryMs: number | null;
  readonly ranEveryMs: number | null;
}

/**
 * Counts the newest `most` due times.
 * @param slots newest first, as many rows as there can be due times
 */
export function cadenceOf(slots: readonly PastSlots[], most: number): Cadence {
  const outcomes: Partial<Record<SlotOutcome | 'waiting', number>> = {};
  const times: number[] = [];
  const ranAt: number[] = [];
  let succeeded = 0;
  for (const slot of slots) {
    for (const ms of newestFirst(slot)) {
      if (times.length === most) break;
      times.push(ms);
      const outcome = slot.outcome ?? 'waiting';
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome === 'started') ranAt.push(ms);
      if (slot.succeeded) succeeded += 1;
    }
  }
  return {
    dueTimes: times.length,
    fromMs: times.at(-1) ?? null,
    toMs: times[0] ?? null,
    outcomes,
    succeeded,
    askedEveryMs: meanStep(times),
    ranEveryMs: meanStep(ranAt),
  };
}

function* newestFirst({ fromMs, toMs, schedule }: PastSlots): Generator<number> {
  for (let ms: number | null = toMs; ms !== null && ms >= fromMs; ms = latestDue(schedule, ms - 1)) yield ms;
}

const meanStep = (times: readonly number[]): number | null =>
  times.length < 2 ? null : (times[0]! - times.at(-1)!) / (times.length - 1);
