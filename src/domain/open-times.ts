/**
 * The times of an expression or an interval that its exclusions leave open. The answers are those of walking every time,
 * found by leaping over what is closed; a schedule that leaves almost nothing is refused, so that nobody waits long.
 */
import { type Cron, latestWall, nextWall } from './cron-walk.ts';
import { PenstockError } from './errors.ts';
import { type Exclusions, firstOpen, lastOpen } from './exclusions.ts';
import { lookBackAt, lookOnAt, stretchAt } from './time-zone.ts';

/** When a schedule may fire at all, in ms since the Unix epoch, both ends included. */
export interface Bounds {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The matching wall times of an expression; null when there is none within the bounds. */
export interface WallTimes {
  /** Whether the hour field covers 0–23. */
  readonly everyHour: boolean;
  readonly next: (afterMs: number) => number | null;
  readonly latest: (upToMs: number) => number | null;
}

/**
 * Whatever is closed for more days in a row (8 years of a daily expression), or for longer beside the dates that are
 * written out, leaves nothing that anybody meant. Both are above what the calendar makes of a 29 February: it comes
 * after 8 years at most, on a given weekday after 40.
 */
const maxLeaps = 3_000;
const maxClosedMs = 45 * 366 * 86_400_000;
/** Bounds are instants: no wall clock is farther from them. */
const slackMs = 48 * 3_600_000;
const everyMinute = new Uint8Array(1_440).fill(1);

/** How to leap. All may also go towards the past. */
interface Course {
  /** The schedule's next time from a moment on, that one included. */
  readonly find: (ms: number) => number;
  /** The first moment from a time on that may be open. */
  readonly open: (ms: number) => number;
  readonly isOver: (ms: number) => boolean;
}

/** Leaps from time to time until one is open; null when it is over before. */
function leap(fromMs: number, { find, open, isOver }: Course, exclusions: Exclusions | null): number | null {
  let ms = find(fromMs);
  const maxMs = maxClosedMs + (exclusions?.datedMs ?? 0);
  for (let leaps = 0; leaps < maxLeaps; leaps++) {
    if (isOver(ms)) return null;
    const openMs = open(ms);
    if (openMs === ms) return ms;
    if (Math.abs(openMs - fromMs) > maxMs) break;
    ms = find(openMs);
  }
  throw new PenstockError(
    'SCHEDULE_NEVER_FIRES',
    'The exclusions leave next to nothing of the schedule; exclude less, or write times of which some remain.',
    { pointer: '/schedule/exclude' },
  );
}

/** The wall times of an expression, without those that are excluded. */
export function openWallTimes(cron: Cron, exclusions: Exclusions | null, bounds: Bounds): WallTimes {
  if (exclusions === null)
    return {
      everyHour: cron.everyHour,
      next: (afterMs) => nextWall(cron, afterMs),
      latest: (upToMs) => latestWall(cron, upToMs),
    };
  const forwards = {
    find: (fromMs: number) => nextWall(cron, fromMs - 1),
    open: (wallMs: number) => firstOpen(exclusions, wallMs, cron.minutes),
    isOver: (wallMs: number) => wallMs > bounds.toMs + slackMs,
  };
  const backwards = {
    find: (upToMs: number) => latestWall(cron, upToMs),
    open: (wallMs: number) => lastOpen(exclusions, wallMs, cron.minutes),
    isOver: (wallMs: number) => wallMs < bounds.fromMs - slackMs,
  };
  return {
    everyHour: cron.everyHour,
    next: (afterMs) => leap(afterMs + 1, forwards, exclusions),
    latest: (upToMs) => leap(upToMs, backwards, exclusions),
  };
}

/** Instants that lie an interval apart, one of them at the anchor. */
export interface Interval {
  readonly anchorMs: number;
  readonly intervalMs: number;
}

/** Exclusions, and the zone whose clock they mean. */
export interface ZonedExclusions {
  readonly exclusions: Exclusions;
  readonly zone: string;
}

/** The first instant of an interval from one on that is open; null when there is none within the bounds. */
export function nextOpenInstant(
  { anchorMs, intervalMs }: Interval,
  closed: ZonedExclusions | null,
  { fromMs, bounds }: { fromMs: number; bounds: Bounds },
): number | null {
  const course: Course = {
    find: (ms) => anchorMs + Math.ceil((ms - anchorMs) / intervalMs) * intervalMs,
    open: (ms) => {
      if (!closed) return ms;
      const stretch = stretchAt(closed.zone, ms);
      const wallMs = firstOpen(closed.exclusions, ms + stretch.offsetMs, everyMinute);
      const openMs = wallMs - stretch.offsetMs;
      return openMs < stretch.toMs ? openMs : lookOnAt(stretch, ms, wallMs);
    },
    isOver: (ms) => ms > bounds.toMs,
  };
  return leap(fromMs, course, closed?.exclusions ?? null);
}

/** The latest instant of an interval up to and including one that is open; null when there is none within the bounds. */
export function latestOpenInstant(
  { anchorMs, intervalMs }: Interval,
  closed: ZonedExclusions | null,
  { upToMs, bounds }: { upToMs: number; bounds: Bounds },
): number | null {
  const course: Course = {
    find: (ms) => anchorMs + Math.floor((ms - anchorMs) / intervalMs) * intervalMs,
    open: (ms) => {
      if (!closed) return ms;
      const stretch = stretchAt(closed.zone, ms);
      const wallMs = lastOpen(closed.exclusions, ms + stretch.offsetMs, everyMinute);
      const openMs = wallMs - stretch.offsetMs;
      return openMs >= stretch.fromMs ? openMs : lookBackAt(stretch, ms, wallMs);
    },
    isOver: (ms) => ms < bounds.fromMs,
  };
  return leap(upToMs, course, closed?.exclusions ?? null);
}
