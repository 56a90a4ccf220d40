/**
 * What a cron expression names, read by cron-parser: the only file that knows it. Its walk through time is not used: in a real
 * zone its answers depend on where you ask from, and in UTC `cron-walk.ts` gives the same ones sooner.
 */
import { type CronDayOfWeek, CronExpressionParser } from 'cron-parser';
import type { Cron } from './cron-walk.ts';
import { PenstockError } from './errors.ts';
import { spellOutCron } from './cron-syntax.ts';
import { cached } from './lru-cache.ts';

const longestMonths = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

const maxCrons = 2_000;
const crons = new Map<string, Cron>();

/**
 * The expression behind a text, parsed once per process.
 * @param pointer RFC 6901 pointer to the member that holds the text
 * @throws PenstockError SCHEDULE_INVALID or SCHEDULE_NEVER_FIRES
 */
export const parseCron = (text: string, withSeconds: boolean, pointer: string): Cron =>
  cached(crons, maxCrons, `${withSeconds ? 'seconds ' : ''}${text}`, () => {
    const fields = spellOutCron(text, withSeconds, pointer);
    refuseImpossibleDay(fields, pointer);
    const { fields: read } = CronExpressionParser.parse(fields.join(' '), { tz: 'UTC' });
    return {
      everyHour: read.hour.values.length === 24,
      seconds: read.second.values,
      minutes: minutesOf(read.hour.values, read.minute.values),
      months: new Set(read.month.values),
      days: read.dayOfMonth.isWildcard ? null : new Set(read.dayOfMonth.values),
      weekdays: read.dayOfWeek.isWildcard ? null : weekdaysOf(read.dayOfWeek),
    };
  });

/** cron-parser keeps `5L` as a text. */
const weekdaysOf = ({ values, hasLastChar, nthDay }: CronDayOfWeek): Cron['weekdays'] => ({
  values: new Set(values.map((value) => Number.parseInt(`${value}`, 10))),
  which: hasLastChar ? 'last' : nthDay === 0 ? 'each' : nthDay,
});

function minutesOf(hours: readonly number[], minutes: readonly number[]): Uint8Array {
  const named = new Uint8Array(1_440);
  for (const hour of hours) for (const minute of minutes) named[hour * 60 + minute] = 1;
  return named;
}

/** 31 February would be looked for in vain. A restricted weekday saves such an expression: either names a day. */
function refuseImpossibleDay(fields: readonly string[], pointer: string): void {
  const [, , , days = '', months = '', weekdays] = fields;
  if (weekdays !== '*' || days === '*' || days === 'L') return;
  const firstDay = Math.min(...days.split(',').map(Number));
  const candidates =
    months === '*' ? longestMonths : months.split(',').map((month) => longestMonths[Number(month) - 1]!);
  const longest = Math.max(...candidates);
  if (firstDay <= longest) return;
  throw new PenstockError(
    'SCHEDULE_NEVER_FIRES',
    `No month ${months} has a day ${firstDay}; write a day up to ${longest}, or "L" for the last day of the month.`,
    { pointer },
  );
}
