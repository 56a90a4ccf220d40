/** Refuses a schedule that is due more often than its tenant may. */
import { PenstockError } from './errors.ts';
import type { Schedule } from './schedule-spec.ts';
import { timesAfter } from './schedule.ts';

/** Looked at one by one, so that specs which meet, exclusions and changes of the clocks all count. */
const timesLookedAt = 1_000;

/**
 * @param minInterval a duration, as `minMs` in words
 * @throws PenstockError SCHEDULE_TOO_OFTEN when two of the next thousand fire times are closer than `minMs`
 */
export function checkFrequency(
  schedule: Schedule,
  { minInterval, minMs, nowMs }: { minInterval: string; minMs: number; nowMs: number },
): void {
  let looked = 0;
  let beforeMs: number | undefined;
  for (const nextMs of timesAfter(schedule, nowMs)) {
    if (beforeMs !== undefined && nextMs - beforeMs < minMs)
      throw new PenstockError(
        'SCHEDULE_TOO_OFTEN',
        `The schedule is due at ${new Date(beforeMs).toISOString()} and again at ${new Date(nextMs).toISOString()}, and this tenant's syncs at most every ${minInterval}; write {every: "${minInterval}"}, or an expression with fewer times.`,
        { pointer: '/schedule' },
      );
    beforeMs = nextMs;
    if (++looked === timesLookedAt) return;
  }
}
