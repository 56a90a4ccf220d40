/**
 * A backfill: a stretch of a sync's cursor, read again in parts, each by a run of its own. A part is a window (low, high]
 * as of any load, so that parts which follow each other leave nothing out and share nothing. Pure.
 */
import { parseDurationMs } from './duration-spec.ts';
import { PenstockError } from './errors.ts';
import { isDayOrInstant } from './schedule-spec.ts';
import type { SyncSpec } from './sync-spec.ts';
import { writeModes } from './write-modes.ts';

/** What a backfill reads: rows whose cursor is above `from`, up to and with `to`, as the source writes its values. */
export interface BackfillRange {
  readonly from: string;
  readonly to: string;
  /** How much one run reads: a duration for a cursor that is a time, a whole number for one that is; null: all of it. */
  readonly every: string | null;
}

export const mostParts = 10_000;

function refuse(message: string, member: keyof BackfillRange): never {
  throw new PenstockError('BAD_REQUEST', message, { pointer: `/${member}` });
}

/** NOT_BACKFILLABLE for a sync that cannot read a stretch again without harm. */
export function checkBackfillable({ mode, cursor }: Pick<SyncSpec, 'mode' | 'cursor'>): void {
  const why = !cursor
    ? 'The sync has no cursor by which a stretch of its source could be told: each of its runs reads everything'
    : writeModes[mode].onlyAdds
      ? `Mode ${mode} would write the rows of a stretch once more, which upsert would not`
      : undefined;
  if (why === undefined) return;
  throw new PenstockError('NOT_BACKFILLABLE', `${why}.`, { pointer: cursor ? '/mode' : '/cursor' });
}

/** How a range is cut: where its parts begin, counted in `step`s, and how that is written. */
interface Scale {
  readonly from: bigint;
  readonly to: bigint;
  readonly step: bigint;
  readonly write: (value: bigint) => string;
}

function timeOf(range: BackfillRange, member: 'from' | 'to'): bigint {
  if (!isDayOrInstant(range[member]))
    refuse('to be cut into parts by a duration it must be a time, such as 2030-01-31T06:00:00Z', member);
  return BigInt(Date.parse(range[member]));
}

function numberOf(range: BackfillRange, member: 'from' | 'to'): bigint {
  if (!/^-?\d{1,18}$/.test(range[member]))
    refuse('to be cut into parts by a number it must be a whole number', member);
  return BigInt(range[member]);
}

function scaleOf(range: BackfillRange, every: string): Scale {
  if (/^\d{1,18}$/.test(every))
    return { from: numberOf(range, 'from'), to: numberOf(range, 'to'), step: BigInt(every), write: String };
  const stepMs = parseDurationMs(every);
  if (stepMs === undefined)
    refuse('how much one run reads is a duration, such as 1d, or a whole number, such as 1000000', 'every');
  return {
    from: timeOf(range, 'from'),
    to: timeOf(range, 'to'),
    step: BigInt(stepMs),
    write: (ms) => new Date(Number(ms)).toISOString(),
  };
}

/**
 * How many parts a range has.
 * @throws PenstockError BAD_REQUEST with a pointer
 */
export function countParts(range: BackfillRange): number {
  if (range.every === null) {
    if (range.from === range.to) refuse('a stretch ends after it begins', 'to');
    return 1;
  }
  const { from, to, step } = scaleOf(range, range.every);
  if (step <= 0n) refuse('each run must read something', 'every');
  if (to <= from) refuse('a stretch ends after it begins', 'to');
  const parts = (to - from + step - 1n) / step;
  if (parts > BigInt(mostParts))
    refuse(`that would be ${parts} runs, and ${mostParts} are the most: read more with each`, 'every');
  return Number(parts);
}

/** The window of a part, counted from 1. Its outer ends are as they were asked for, to the letter. */
export function windowOfPart(range: BackfillRange, part: number): { low: string; high: string } {
  const parts = countParts(range);
  const at = (n: number): string => {
    const { from, step, write } = scaleOf(range, range.every!);
    return write(from + BigInt(n) * step);
  };
  return {
    low: part === 1 ? range.from : at(part - 1),
    high: part === parts ? range.to : at(part),
  };
}
