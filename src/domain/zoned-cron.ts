/**
 * Fire times of a cron expression in a zone. An expression whose hour field covers 0–23 fires at each instant whose
 * wall clock matches. Every other one fires once per matching wall time: in a gap at the first instant after it, in an
 * overlap at the first occurrence. Both are sets of instants, so the answer never depends on where you ask from.
 */
import { type Cron, latestWall, nextWall } from './cron.ts';
import { firstInstantShowing, latestWallShown, stretchAt } from './time-zone.ts';

/** The first fire time after an instant, in ms. */
export function nextFire(cron: Cron, zone: string, afterMs: number): number {
  if (cron.everyHour) return nextMatch(cron, zone, afterMs);
  return firstInstantShowing(zone, nextWall(cron, latestWallShown(zone, afterMs)));
}

/** The latest fire time up to and including an instant, in ms. */
export function latestFire(cron: Cron, zone: string, upToMs: number): number {
  if (cron.everyHour) return latestMatch(cron, zone, upToMs);
  return firstInstantShowing(zone, latestWall(cron, latestWallShown(zone, upToMs)));
}

function nextMatch(cron: Cron, zone: string, afterMs: number): number {
  let stretch = stretchAt(zone, afterMs);
  for (;;) {
    const fromMs = Math.max(afterMs, stretch.fromMs - 1);
    const wallMs = nextWall(cron, fromMs + stretch.offsetMs);
    if (wallMs - stretch.offsetMs < stretch.toMs) return wallMs - stretch.offsetMs;
    stretch = stretchAt(zone, stretch.toMs);
  }
}

function latestMatch(cron: Cron, zone: string, upToMs: number): number {
  let stretch = stretchAt(zone, upToMs);
  for (;;) {
    const toMs = Math.min(upToMs, stretch.toMs - 1);
    const wallMs = latestWall(cron, toMs + stretch.offsetMs);
    if (wallMs - stretch.offsetMs >= stretch.fromMs) return wallMs - stretch.offsetMs;
    stretch = stretchAt(zone, stretch.fromMs - 1);
  }
}
