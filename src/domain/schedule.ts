/**
 * Fire times of a schedule: pure functions of the schedule and an instant. The same question has the same answer in
 * any process, after any restart, wherever you ask from; asking from the previous nominal time never drifts.
 * All times are ms since the Unix epoch.
 */
import { parseCron } from './cron.ts';
import { type Schedule, parseDurationMs } from './sync-spec.ts';
import { latestFire, nextFire } from './zoned-cron.ts';

/** No schedule fires before it, or after `lastInstantMs`: the years 1970 to 9999. */
export const firstInstantMs = 0;
export const lastInstantMs = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/**
 * The first fire time after a nominal time; null when there is none any more. For a new or edited sync ask from the
 * moment of the change, from then on from the nominal time of the slot before.
 * @throws PenstockError as `checkSchedule` does, for a schedule that it never saw
 */
export function nextDue(schedule: Schedule, afterNominalMs: number): number | null {
  const afterMs = Math.max(afterNominalMs, firstInstantMs - 1);
  if (afterMs >= lastInstantMs) return null;
  const dueMs = nextUnbounded(schedule, afterMs);
  return dueMs === null || dueMs > lastInstantMs ? null : dueMs;
}

function nextUnbounded(schedule: Schedule, afterMs: number): number | null {
  if ('cron' in schedule) return nextFire(cronOf(schedule), schedule.timezone, afterMs);
  if ('every' in schedule) {
    const { anchorMs, intervalMs } = intervalOf(schedule);
    const next = anchorMs + (Math.floor((afterMs - anchorMs) / intervalMs) + 1) * intervalMs;
    return Math.max(next, anchorMs);
  }
  if ('at' in schedule) {
    const atMs = Date.parse(schedule.at);
    return atMs > afterMs ? atMs : null;
  }
  return null;
}

/**
 * The latest fire time up to and including an instant; null when there is none. With it a stretch of due times is
 * known by its two ends, however many lie between.
 */
export function latestDue(schedule: Schedule, upToMs: number): number | null {
  if (upToMs < firstInstantMs) return null;
  const dueMs = latestUnbounded(schedule, Math.min(upToMs, lastInstantMs));
  return dueMs === null || dueMs < firstInstantMs ? null : dueMs;
}

function latestUnbounded(schedule: Schedule, upToMs: number): number | null {
  if ('cron' in schedule) return latestFire(cronOf(schedule), schedule.timezone, upToMs);
  if ('every' in schedule) {
    const { anchorMs, intervalMs } = intervalOf(schedule);
    const latest = anchorMs + Math.floor((upToMs - anchorMs) / intervalMs) * intervalMs;
    return latest < anchorMs ? null : latest;
  }
  if ('at' in schedule) {
    const atMs = Date.parse(schedule.at);
    return atMs <= upToMs ? atMs : null;
  }
  return null;
}

const cronOf = (schedule: Extract<Schedule, { cron: string }>) =>
  parseCron(schedule.cron, schedule.seconds ?? false, '/schedule/cron');

/** Anchored at `startAt`, which is its first fire time, else at the Unix epoch. */
function intervalOf(schedule: Extract<Schedule, { every: string }>) {
  const intervalMs = parseDurationMs(schedule.every)!;
  const anchorMs = schedule.startAt === undefined ? 0 : Date.parse(schedule.startAt);
  return { anchorMs, intervalMs };
}
