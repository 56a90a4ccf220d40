/**
 * Wall clock ↔ instant in an IANA zone, right on both sides of every transition, from nothing but Intl's offsets.
 * A *wall time* is the reading of a clock in the zone, kept as the milliseconds that the same reading would have in
 * UTC. A *stretch* is a time during which the zone's offset does not change.
 */
import { cached } from './lru-cache.ts';

export interface Stretch {
  /** first instant, ms */
  readonly fromMs: number;
  /** first instant after it, ms */
  readonly toMs: number;
  /** wall time minus instant, ms */
  readonly offsetMs: number;
}

interface Zone {
  readonly format: Intl.DateTimeFormat;
  /** stretches by number of the page they lie in; a page is `pageMs` long, so stretches also end where pages do */
  readonly pages: Map<number, readonly Stretch[]>;
}

const hourMs = 3_600_000;
/** Offsets are looked up this far apart: no zone has had two transitions within 7 days since 1970. */
const probeMs = 96 * hourMs;
const pageMs = 24 * probeMs;
/** No offset of any zone, local mean time included, is farther from UTC. */
const widestOffsetMs = 16 * hourMs;
/** The longest time that a clock was ever set back: a day, where the date line moved. */
const longestRepeatMs = 26 * hourMs;

/** A formatter takes tens of kilobytes, so their number is bounded, however names are spelled. */
const maxZones = 700;
const maxPages = 200;
const zones = new Map<string, Zone>();

const zoneOf = (name: string): Zone =>
  cached(zones, maxZones, name, () => ({
    format: new Intl.DateTimeFormat('en-US', { timeZone: name, timeZoneName: 'longOffset' }),
    pages: new Map(),
  }));

/** The offset that Intl prints at the end of a date: `GMT`, `GMT+05:30`, `GMT-00:44:30`. */
function printedOffsetMs(format: Intl.DateTimeFormat, instantMs: number): number {
  const [, sign, hours, minutes, seconds = '0'] =
    /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(format.format(instantMs)) ?? [];
  if (sign === undefined) return 0;
  const size = Number(hours) * hourMs + Number(minutes) * 60_000 + Number(seconds) * 1_000;
  return sign === '-' ? -size : size;
}

/** The first instant in (low, high] at which the offset is no longer the one of `low`. Transitions are at whole seconds. */
function findTransition(format: Intl.DateTimeFormat, lowMs: number, highMs: number): number {
  const before = printedOffsetMs(format, lowMs);
  let low = lowMs / 1_000;
  let high = highMs / 1_000;
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (printedOffsetMs(format, middle * 1_000) === before) low = middle;
    else high = middle;
  }
  return high * 1_000;
}

function readPage(format: Intl.DateTimeFormat, page: number): Stretch[] {
  const endMs = (page + 1) * pageMs;
  const stretches: Stretch[] = [];
  let fromMs = page * pageMs;
  let offsetMs = printedOffsetMs(format, fromMs);
  for (let probe = fromMs; probe < endMs; probe += probeMs) {
    const next = printedOffsetMs(format, probe + probeMs);
    if (next === offsetMs) continue;
    const toMs = findTransition(format, probe, probe + probeMs);
    stretches.push({ fromMs, toMs, offsetMs });
    fromMs = toMs;
    offsetMs = next;
  }
  if (fromMs < endMs) stretches.push({ fromMs, toMs: endMs, offsetMs });
  return stretches;
}

/**
 * The stretch that an instant lies in. It may be shorter than the real one, never longer.
 * @throws RangeError for a zone that Intl does not know (`checkZone` refuses it before it is stored)
 */
export function stretchAt(zoneName: string, instantMs: number): Stretch {
  const zone = zoneOf(zoneName);
  const page = Math.floor(instantMs / pageMs);
  const stretches = cached(zone.pages, maxPages, page, () => readPage(zone.format, page));
  return stretches.find((stretch) => instantMs < stretch.toMs)!;
}

/**
 * The first instant at which the zone's clock shows the wall time or a later one: the instant itself on an ordinary
 * day, the first of two in an overlap, the end of the gap for a wall time that the clock jumps over.
 */
export function firstInstantShowing(zoneName: string, wallMs: number): number {
  let stretch = stretchAt(zoneName, wallMs - widestOffsetMs);
  for (;;) {
    const instantMs = Math.max(stretch.fromMs, wallMs - stretch.offsetMs);
    if (instantMs < stretch.toMs) return instantMs;
    stretch = stretchAt(zoneName, stretch.toMs);
  }
}

/**
 * The latest wall time that the zone's clock has shown up to and including an instant. In the second pass of an overlap
 * it stands still.
 */
export function latestWallShown(zoneName: string, instantMs: number): number {
  let stretch = stretchAt(zoneName, instantMs - longestRepeatMs);
  let latestMs = -Infinity;
  for (;;) {
    latestMs = Math.max(latestMs, Math.min(instantMs, stretch.toMs - 1) + stretch.offsetMs);
    if (instantMs < stretch.toMs) return latestMs;
    stretch = stretchAt(zoneName, stretch.toMs);
  }
}

/**
 * Where to look on after a stretch of which no instant from `fromMs` on shows a wall time that is looked for, the next of
 * which, by the stretch's own offset, is `wallMs`. A leap over years, unless the clock may yet show earlier times again.
 */
export const lookOnAt = (stretch: Stretch, fromMs: number, wallMs: number): number =>
  stretch.toMs - fromMs < longestRepeatMs
    ? stretch.toMs
    : Math.max(stretch.toMs, wallMs - stretch.offsetMs - longestRepeatMs);

/** As `lookOnAt`, towards the past: no instant of the stretch up to `upToMs` was one. */
export const lookBackAt = (stretch: Stretch, upToMs: number, wallMs: number): number =>
  upToMs - stretch.fromMs < longestRepeatMs
    ? stretch.fromMs - 1
    : Math.min(stretch.fromMs - 1, wallMs - stretch.offsetMs + longestRepeatMs);

/** What a clock in the zone shows at an instant, with its offset: `2026-03-29T03:00:00+02:00`. */
export function showClock(zone: string, instantMs: number): string {
  const { offsetMs } = stretchAt(zone, instantMs);
  const wall = new Date(instantMs + offsetMs).toISOString().replace(/(\.000)?Z$/, '');
  if (zone === 'UTC') return `${wall}Z`;
  const minutes = Math.round(Math.abs(offsetMs) / 60_000);
  const [hh, mm] = [Math.floor(minutes / 60), minutes % 60].map((n) => String(n).padStart(2, '0'));
  return `${wall}${offsetMs < 0 ? '-' : '+'}${hh}:${mm}`;
}
