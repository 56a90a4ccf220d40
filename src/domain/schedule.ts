/**
 * Fire times of a schedule: pure functions of the schedule and an instant. The same question has the same answer in
 * any process, after any restart, wherever you ask from; asking from the previous nominal time never drifts.
 * All times are ms since the Unix epoch.
 */
import { parseCron } from './cron.ts';
import { parseDurationMs } from './duration-spec.ts';
import { parseExclusions } from './exclusions.ts';
import {
  type Bounds,
  type Interval,
  latestOpenInstant,
  nextOpenInstant,
  openWallTimes,
  type WallTimes,
} from './open-times.ts';
import type { CronSpec, EverySpec, Schedule } from './schedule-spec.ts';
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
  if ('anyOf' in schedule) return least(schedule.anyOf.map((spec) => nextDue(spec, afterNominalMs)));
  const bounds = boundsOf(schedule);
  const afterMs = Math.max(afterNominalMs, bounds.fromMs - 1);
  if (afterMs >= bounds.toMs) return null;
  const dueMs = nextUnbounded(schedule, afterMs, bounds);
  return dueMs === null || dueMs > bounds.toMs ? null : dueMs;
}

function nextUnbounded(schedule: Schedule, afterMs: number, bounds: Bounds): number | null {
  if ('cron' in schedule) return nextFire(wallTimesOf(schedule, bounds), schedule.timezone, afterMs);
  if ('every' in schedule)
    return nextOpenInstant(intervalOf(schedule), closedBy(schedule), { fromMs: afterMs + 1, bounds });
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
  if ('anyOf' in schedule) return greatest(schedule.anyOf.map((spec) => latestDue(spec, upToMs)));
  const bounds = boundsOf(schedule);
  if (upToMs < bounds.fromMs) return null;
  const dueMs = latestUnbounded(schedule, Math.min(upToMs, bounds.toMs), bounds);
  return dueMs === null || dueMs < bounds.fromMs ? null : dueMs;
}

function latestUnbounded(schedule: Schedule, upToMs: number, bounds: Bounds): number | null {
  if ('cron' in schedule) return latestFire(wallTimesOf(schedule, bounds), schedule.timezone, upToMs);
  if ('every' in schedule)
    return latestOpenInstant(intervalOf(schedule), closedBy(schedule), { upToMs, bounds });
  if ('at' in schedule) {
    const atMs = Date.parse(schedule.at);
    return atMs <= upToMs ? atMs : null;
  }
  return null;
}

/** The fire times after an instant. Each spec of a schedule is asked anew only when its own has come. */
export function* timesAfter(schedule: Schedule, afterMs: number): Generator<number> {
  const specs = 'anyOf' in schedule ? schedule.anyOf : [schedule];
  const heads = specs.map((spec) => nextDue(spec, afterMs));
  for (let dueMs = least(heads); dueMs !== null; dueMs = least(heads)) {
    yield dueMs;
    for (const [i, spec] of specs.entries()) if (heads[i] === dueMs) heads[i] = nextDue(spec, dueMs);
  }
}

/** The same, `count` at most: what a preview shows. */
export function nextTimes(schedule: Schedule, afterMs: number, count: number): number[] {
  const times: number[] = [];
  for (const dueMs of timesAfter(schedule, afterMs)) {
    times.push(dueMs);
    if (times.length >= count) break;
  }
  return times;
}

const least = (times: readonly (number | null)[]): number | null =>
  times.reduce((least, ms) => (least === null || (ms !== null && ms < least) ? ms : least), null);
const greatest = (times: readonly (number | null)[]): number | null =>
  times.reduce((most, ms) => (most === null || (ms !== null && ms > most) ? ms : most), null);

function boundsOf(schedule: Schedule): Bounds {
  const { startAt, endAt } = schedule as { startAt?: string; endAt?: string };
  return {
    fromMs: startAt === undefined ? firstInstantMs : Math.max(Date.parse(startAt), firstInstantMs),
    toMs: endAt === undefined ? lastInstantMs : Math.min(Date.parse(endAt), lastInstantMs),
  };
}

const wallTimesOf = (spec: CronSpec, bounds: Bounds): WallTimes =>
  openWallTimes(
    parseCron(spec.cron, spec.seconds ?? false, '/schedule/cron'),
    spec.exclude ? parseExclusions(spec.exclude, '/schedule/exclude') : null,
    bounds,
  );

const closedBy = ({ exclude, timezone = 'UTC' }: EverySpec) =>
  exclude ? { exclusions: parseExclusions(exclude, '/schedule/exclude'), zone: timezone } : null;

/** Anchored at `startAt`, which is its first fire time, else at the Unix epoch. */
const intervalOf = ({ every, startAt }: EverySpec): Interval => ({
  intervalMs: parseDurationMs(every)!,
  anchorMs: startAt === undefined ? 0 : Date.parse(startAt),
});
