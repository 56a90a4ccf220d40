/**
 * The wall times that a cron expression names, by arithmetic on the calendar of UTC, in which every day has 24 hours. Pure.
 * What a zone makes of a wall time is `zoned-cron.ts`' business. Why this is own code: docs/adr/0012-own-steps-through-the-calendar.md.
 */
import { PenstockError } from './errors.ts';

/** What an expression names. */
export interface Cron {
  /** Whether the hour field covers 0–23: such an expression means "every hour", also in a repeated one. */
  readonly everyHour: boolean;
  /** Ascending. */
  readonly seconds: readonly number[];
  /** By minute of the day, 0 to 1439: 1 where its hour and minute fields name it. */
  readonly minutes: Uint8Array;
  /** From 1 on. */
  readonly months: ReadonlySet<number>;
  /** Of the month, from 1 on, and `L` for the last; null: the field restricts nothing. */
  readonly days: ReadonlySet<number | 'L'> | null;
  /** From Sunday, 0, on; null: the field restricts nothing. */
  readonly weekdays: { readonly values: ReadonlySet<number>; readonly which: WhichOfMonth } | null;
}

/** Each such weekday of a month, the first to fourth, or the last. */
export type WhichOfMonth = 'each' | 'last' | number;

const secondMs = 1_000;
const daySeconds = 86_400;
const dayMs = daySeconds * secondMs;
/** From one 29 February to the next across a year such as 2100: nothing that can be written is farther apart. */
const mostDays = 8 * 366;

/** The first wall time that is named after one, in ms. */
export function nextWall(cron: Cron, afterMs: number): number {
  const from = Math.floor(afterMs / secondMs) + 1;
  const today = Math.floor(from / daySeconds);
  const second = isNamed(cron, new Date(today * dayMs)) ? secondFrom(cron, from - today * daySeconds) : null;
  if (second !== null) return today * dayMs + second * secondMs;
  return findDay(cron, today + 1, 1) * dayMs + secondFrom(cron, 0)! * secondMs;
}

/** The latest wall time that is named up to and including one, in ms. */
export function latestWall(cron: Cron, upToMs: number): number {
  const upTo = Math.floor(upToMs / secondMs);
  const today = Math.floor(upTo / daySeconds);
  const second = isNamed(cron, new Date(today * dayMs)) ? secondUpTo(cron, upTo - today * daySeconds) : null;
  if (second !== null) return today * dayMs + second * secondMs;
  return findDay(cron, today - 1, -1) * dayMs + secondUpTo(cron, daySeconds - 1)! * secondMs;
}

/** The first second of a day that is named from one on. */
function secondFrom({ minutes, seconds }: Cron, from: number): number | null {
  const minute = Math.floor(from / 60);
  const second = minutes[minute] === 1 ? seconds.find((s) => minute * 60 + s >= from) : undefined;
  if (second !== undefined) return minute * 60 + second;
  const later = minutes.indexOf(1, minute + 1);
  return later < 0 ? null : later * 60 + seconds[0]!;
}

/** The last second of a day that is named up to one. */
function secondUpTo({ minutes, seconds }: Cron, upTo: number): number | null {
  const minute = Math.floor(upTo / 60);
  const second = minutes[minute] === 1 ? seconds.findLast((s) => minute * 60 + s <= upTo) : undefined;
  if (second !== undefined) return minute * 60 + second;
  // To `lastIndexOf` -1 is the end.
  const earlier = minute === 0 ? -1 : minutes.lastIndexOf(1, minute - 1);
  return earlier < 0 ? null : earlier * 60 + seconds.at(-1)!;
}

/** The nearest day that is named from one on, forwards or backwards. Days are counted from 1 January 1970. */
function findDay(cron: Cron, fromDay: number, step: 1 | -1): number {
  for (let day = fromDay; Math.abs(day - fromDay) <= mostDays;) {
    const date = new Date(day * dayMs);
    if (isNamed(cron, date)) return day;
    day = cron.months.has(date.getUTCMonth() + 1) ? day + step : leaveMonth(date, step);
  }
  throw new PenstockError('SCHEDULE_NEVER_FIRES', 'No day is the one that the cron expression names.', {
    pointer: '/schedule/cron',
  });
}

/** The first day of the month after a date's, or the last of the month before. */
const leaveMonth = (date: Date, step: 1 | -1): number =>
  Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + (step === 1 ? 1 : 0), step === 1 ? 1 : 0) / dayMs;

/** Whether an expression names a day of UTC: with both fields restricted either may. */
export function isNamed({ months, days, weekdays }: Cron, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false;
  if (days === null && weekdays === null) return true;
  const isByDay = days !== null && (days.has(date.getUTCDate()) || (days.has('L') && daysLeft(date) === 0));
  return (
    isByDay || (weekdays !== null && weekdays.values.has(date.getUTCDay()) && isWhich(date, weekdays.which))
  );
}

function isWhich(date: Date, which: WhichOfMonth): boolean {
  if (which === 'each') return true;
  return which === 'last' ? daysLeft(date) < 7 : Math.ceil(date.getUTCDate() / 7) === which;
}

/** In its month. */
const daysLeft = (date: Date): number =>
  (Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0) - date.getTime()) / dayMs;
