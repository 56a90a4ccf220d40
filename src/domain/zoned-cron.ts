/**
 * Fire times of a cron expression in a zone. An expression whose hour field covers 0–23 fires at each instant whose
 * wall clock matches. Every other one fires once per matching wall time: in a gap at the first instant after it, in an
 * overlap at the first occurrence. Both are sets of instants, so the answer never depends on where you ask from.
 */
import type { WallTimes } from './open-times.ts';
import { firstInstantShowing, latestWallShown, lookBackAt, lookOnAt, stretchAt } from './time-zone.ts';

/** The first fire time after an instant, in ms; null when there is none any more. */
export function nextFire(times: WallTimes, zone: string, afterMs: number): number | null {
  if (times.everyHour) return nextMatch(times, zone, afterMs);
  const wallMs = times.next(latestWallShown(zone, afterMs));
  return wallMs === null ? null : firstInstantShowing(zone, wallMs);
}

/** The latest fire time up to and including an instant, in ms; null when there is none. */
export function latestFire(times: WallTimes, zone: string, upToMs: number): number | null {
  if (times.everyHour) return latestMatch(times, zone, upToMs);
  const wallMs = times.latest(latestWallShown(zone, upToMs));
  return wallMs === null ? null : firstInstantShowing(zone, wallMs);
}

function nextMatch(times: WallTimes, zone: string, afterMs: number): number | null {
  let stretch = stretchAt(zone, afterMs);
  for (;;) {
    const fromMs = Math.max(afterMs, stretch.fromMs - 1);
    const wallMs = times.next(fromMs + stretch.offsetMs);
    if (wallMs === null) return null;
    if (wallMs - stretch.offsetMs < stretch.toMs) return wallMs - stretch.offsetMs;
    stretch = stretchAt(zone, lookOnAt(stretch, fromMs, wallMs));
  }
}

function latestMatch(times: WallTimes, zone: string, upToMs: number): number | null {
  let stretch = stretchAt(zone, upToMs);
  for (;;) {
    const toMs = Math.min(upToMs, stretch.toMs - 1);
    const wallMs = times.latest(toMs + stretch.offsetMs);
    if (wallMs === null) return null;
    if (wallMs - stretch.offsetMs >= stretch.fromMs) return wallMs - stretch.offsetMs;
    stretch = stretchAt(zone, lookBackAt(stretch, toMs, wallMs));
  }
}
