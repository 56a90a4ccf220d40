/**
 * What a schedule leaves out: days, and minutes that cron expressions name, all by the wall clock of the schedule's
 * zone. A time is judged by the wall time that the schedule names, also where a gap then moves the fire time.
 * Wall times are kept as the milliseconds that the same reading would have in UTC.
 */
import { parseCron } from './cron.ts';
import { type Cron, isNamed } from './cron-walk.ts';
import { spellOutCron } from './cron-syntax.ts';
import { PenstockError } from './errors.ts';
import { cached } from './lru-cache.ts';
import type { ExcludeSpec } from './schedule-spec.ts';

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;

/** Minutes of a day, from 0 to 1439; 1 where it is one of them. */
export type Minutes = Uint8Array;

export interface Exclusions {
  /** from the first midnight up to, and without, the last; in order, apart from each other */
  readonly stretches: readonly { readonly fromMs: number; readonly toMs: number }[];
  /** how long the stretches are, together */
  readonly datedMs: number;
  readonly recurring: readonly { readonly days: Cron; readonly minutes: Minutes }[];
  /** what several of them close together, by which they are */
  readonly together: Map<string, Closed>;
}

interface Closed {
  readonly minutes: Minutes;
  readonly isWholeDay: boolean;
}

const maxParsed = 500;
const maxTogether = 50;
const parsed = new Map<string, Exclusions>();

/**
 * @param pointer RFC 6901 pointer to the member
 * @throws PenstockError SCHEDULE_INVALID or, for an expression of days that no month has, SCHEDULE_NEVER_FIRES
 */
export const parseExclusions = (spec: ExcludeSpec, pointer: string): Exclusions =>
  cached(parsed, maxParsed, JSON.stringify(spec), () => {
    const stretches = joined((spec.dates ?? []).map((text, i) => parseDays(text, `${pointer}/dates/${i}`)));
    return {
      stretches,
      datedMs: stretches.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0),
      recurring: (spec.cron ?? []).map((text, i) => parseRecurring(text, `${pointer}/cron/${i}`)),
      together: new Map(),
    };
  });

function parseDays(text: string, pointer: string): { fromMs: number; toMs: number } {
  const [from = '', to = from, ...more] = text.split('/');
  const [fromMs, lastMs] = [midnightOf(from), midnightOf(to)];
  if (fromMs === undefined || lastMs === undefined || more.length > 0)
    throw new PenstockError(
      'SCHEDULE_INVALID',
      `${JSON.stringify(text.slice(0, 60))} is no day; write it like "2030-12-24", or both ends like "2030-12-24/2031-01-06".`,
      { pointer },
    );
  if (lastMs < fromMs)
    throw new PenstockError('SCHEDULE_INVALID', `${text} ends before it begins; write "${to}/${from}".`, {
      pointer,
    });
  return { fromMs, toMs: lastMs + dayMs };
}

/** Date.parse takes 30 February for 2 March, so the day must come back as it was written. */
function midnightOf(text: string): number | undefined {
  if (!/^\d{4}-\d\d-\d\d$/.test(text)) return undefined;
  const ms = Date.parse(`${text}T00:00:00Z`);
  return ms >= 0 && new Date(ms).toISOString().startsWith(text) ? ms : undefined;
}

function joined(stretches: readonly { fromMs: number; toMs: number }[]): { fromMs: number; toMs: number }[] {
  const apart: { fromMs: number; toMs: number }[] = [];
  for (const { fromMs, toMs } of stretches.toSorted((a, b) => a.fromMs - b.fromMs)) {
    const last = apart.at(-1);
    if (last && fromMs <= last.toMs) last.toMs = Math.max(last.toMs, toMs);
    else apart.push({ fromMs, toMs });
  }
  return apart;
}

function parseRecurring(text: string, pointer: string): { days: Cron; minutes: Minutes } {
  const days = spellOutCron(text, false, pointer).slice(3).join(' ');
  return { days: parseCron(`0 0 ${days}`, false, pointer), minutes: parseCron(text, false, pointer).minutes };
}

/**
 * The first wall time from one on that may be open: the same if it is not excluded, else the next of the wanted minutes
 * of its day that is open, else the end of the day or of the excluded stretch.
 */
export function firstOpen(exclusions: Exclusions, wallMs: number, wanted: Minutes): number {
  const stretch = exclusions.stretches.find(({ fromMs, toMs }) => fromMs <= wallMs && wallMs < toMs);
  if (stretch) return stretch.toMs;
  const midnightMs = Math.floor(wallMs / dayMs) * dayMs;
  const closed = closedOn(exclusions, midnightMs);
  const minute = Math.floor((wallMs - midnightMs) / minuteMs);
  if (!closed?.minutes[minute]) return wallMs;
  const open = closed.isWholeDay
    ? -1
    : wanted.findIndex((isWanted, m) => m > minute && isWanted === 1 && !closed.minutes[m]);
  return open < 0 ? midnightMs + dayMs : midnightMs + open * minuteMs;
}

/** As `firstOpen`, towards the past: the last wall time up to one that may be open. */
export function lastOpen(exclusions: Exclusions, wallMs: number, wanted: Minutes): number {
  const stretch = exclusions.stretches.find(({ fromMs, toMs }) => fromMs <= wallMs && wallMs < toMs);
  if (stretch) return stretch.fromMs - 1;
  const midnightMs = Math.floor(wallMs / dayMs) * dayMs;
  const closed = closedOn(exclusions, midnightMs);
  const minute = Math.floor((wallMs - midnightMs) / minuteMs);
  if (!closed?.minutes[minute]) return wallMs;
  const open = closed.isWholeDay
    ? -1
    : wanted.findLastIndex((isWanted, m) => m < minute && isWanted === 1 && !closed.minutes[m]);
  return open < 0 ? midnightMs - 1 : midnightMs + (open + 1) * minuteMs - 1;
}

/** What is excluded of a day; undefined when nothing is. A long leap asks for each of its days. */
function closedOn({ recurring, together }: Exclusions, midnightMs: number): Closed | undefined {
  const date = new Date(midnightMs);
  const today = recurring.map(({ days }) => isNamed(days, date));
  if (!today.includes(true)) return undefined;
  return cached(together, maxTogether, today.join(), () => {
    const minutes = new Uint8Array(1_440);
    for (const [i, each] of recurring.entries())
      if (today[i]) for (let m = 0; m < minutes.length; m++) minutes[m]! |= each.minutes[m]!;
    return { minutes, isWholeDay: !minutes.includes(0) };
  });
}
