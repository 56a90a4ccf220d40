/**
 * Matching wall times of a cron expression: the only file that knows cron-parser, which walks wall times in UTC and
 * nothing else (in a real zone its answers depend on where you ask from). Zones are `zoned-cron.ts`' business.
 */
import { type CronExpression, CronExpressionParser } from 'cron-parser';
import { PenstockError } from './errors.ts';
import { spellOutCron } from './cron-syntax.ts';
import { cached } from './lru-cache.ts';

/** Answers already known: no wall time between `asked` and `answer` matches. */
interface Known {
  askedMs: number;
  answerMs: number;
}

export interface Cron {
  /** Whether the hour field covers 0–23: such an expression means "every hour", also in a repeated one. */
  readonly everyHour: boolean;
  /** By minute of the day, 0 to 1439: 1 where its hour and minute fields name it. */
  readonly minutes: Uint8Array;
  readonly walk: CronExpression;
  readonly next: Known;
  readonly latest: Known;
}

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
    const walk = CronExpressionParser.parse(fields.join(' '), { tz: 'UTC', currentDate: new Date(0) });
    const { hour, minute } = walk.fields;
    return {
      everyHour: hour.values.length === 24,
      minutes: minutesOf(hour.values, minute.values),
      walk,
      next: { askedMs: 0, answerMs: 0 },
      latest: { askedMs: 0, answerMs: 1 },
    };
  });

function minutesOf(hours: readonly number[], minutes: readonly number[]): Uint8Array {
  const named = new Uint8Array(1_440);
  for (const hour of hours) for (const minute of minutes) named[hour * 60 + minute] = 1;
  return named;
}

/**
 * cron-parser looks for 31 February until it hits its loop limit. A restricted weekday saves such an expression: either
 * matches.
 */
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

/** The first matching wall time after one, in ms. */
export function nextWall(cron: Cron, afterMs: number): number {
  const known = cron.next;
  if (afterMs < known.askedMs || afterMs >= known.answerMs) {
    cron.walk.reset(new Date(afterMs));
    known.answerMs = cron.walk.next().getTime();
    known.askedMs = afterMs;
  }
  return known.answerMs;
}

/** The latest matching wall time up to and including one, in ms. */
export function latestWall(cron: Cron, upToMs: number): number {
  const known = cron.latest;
  if (upToMs > known.askedMs || upToMs < known.answerMs) {
    cron.walk.reset(new Date(upToMs + 1));
    known.answerMs = cron.walk.prev().getTime();
    known.askedMs = upToMs;
  }
  return known.answerMs;
}
