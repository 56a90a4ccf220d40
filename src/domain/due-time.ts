/**
 * When a slot may start: at its nominal time, later by the schedule's jitter, or when somebody has moved it to. Never
 * before the nominal time and never at the next one's, so that slots keep their order. Pure: the jitter is a hash.
 */
import { parseDurationMs } from './duration-spec.ts';
import { runIdOf, type SyncId } from './ids.ts';
import type { Schedule } from './schedule-spec.ts';
import { nextDue } from './schedule.ts';

/** A slot that somebody has moved, by its nominal time. */
export interface MovedSlot {
  readonly nominalMs: number;
  readonly dueMs: number;
}

/** The due time of the slot with a nominal time, in ms. */
export type DueTimeOf = (nominalMs: number) => number;

/** How much later than its nominal time a slot of the schedule may start, at most. */
export const jitterMsOf = (schedule: Schedule): number =>
  'jitter' in schedule && schedule.jitter !== undefined ? parseDurationMs(schedule.jitter)! : 0;

/** The due times of a sync's slots. */
export function dueTimesOf(syncId: SyncId, schedule: Schedule, moved: MovedSlot | null): DueTimeOf {
  const jitterMs = jitterMsOf(schedule);
  return (nominalMs) => {
    if (moved?.nominalMs === nominalMs) return moved.dueMs;
    if (jitterMs === 0) return nominalMs;
    const next = nextDue(schedule, nominalMs);
    const room = Math.min(jitterMs, next === null ? Infinity : next - nominalMs);
    return nominalMs + Math.floor(fractionOf(syncId, nominalMs) * room);
  };
}

/** From 0 up to 1, evenly: the first 32 bits of the id of the slot's run, which is a hash of sync and nominal time. */
function fractionOf(syncId: SyncId, nominalMs: number): number {
  const hash = runIdOf(syncId, 'schedule', new Date(nominalMs).toISOString()).split(/[_-]/)[1]!;
  return Number.parseInt(hash, 16) / 2 ** 32;
}
