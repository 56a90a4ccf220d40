import { expect, test } from '@jest/globals';
import { CronExpressionParser } from 'cron-parser';
import * as fc from 'fast-check';
import { parseCron } from '../../src/domain/cron.ts';
import { spellOutCron } from '../../src/domain/cron-syntax.ts';
import { latestWall, nextWall } from '../../src/domain/cron-walk.ts';
import { dayArb, hourArb, minuteArb, monthArb, secondArb, weekdayArb } from '../support/cron-arbitraries.ts';

const seed = Number(process.env['PENSTOCK_SEED'] ?? Date.now() % 2 ** 31);
const show = (ms: number): string => new Date(ms).toISOString();

/** Seconds first; of which a day exists. */
const cronArb = fc
  .tuple(fc.option(secondArb, { nil: '0' }), minuteArb, hourArb, dayArb, monthArb, weekdayArb)
  .map((fields) => fields.join(' '))
  .filter((cron) => isPossible(cron));

function isPossible(cron: string): boolean {
  try {
    return parseCron(cron, true, '') !== undefined;
  } catch {
    return false;
  }
}

test(`in UTC the walk finds what cron-parser finds, forwards and backwards (PENSTOCK_SEED=${seed})`, () => {
  const moment = fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) });
  fc.assert(
    fc.property(cronArb, moment, (text, atMs) => {
      const cron = parseCron(text, true, '');
      const spelledOut = spellOutCron(text, true, '').join(' ');
      const theirs = CronExpressionParser.parse(spelledOut, { tz: 'UTC', currentDate: new Date(atMs) });
      for (let n = 0, ms = atMs; n < 6; n++) {
        ms = nextWall(cron, ms);
        expect(show(ms)).toBe(theirs.next().toISOString());
      }
      theirs.reset(new Date(atMs + 1));
      for (let n = 0, ms = atMs + 1; n < 6; n++) {
        ms = latestWall(cron, ms - 1);
        expect(show(ms)).toBe(theirs.prev().toISOString());
      }
    }),
    { seed, numRuns: 150 },
  );
});

test('every second that is named is found, forwards and backwards, and no other', () => {
  const cron = parseCron('7,30-32 58,59 0,23 * * *', true, '');
  const fromMs = Date.UTC(2024, 1, 28, 12);
  const toMs = Date.UTC(2024, 2, 1, 12);
  const named: number[] = [];
  for (let ms = fromMs; ms < toMs; ms += 1_000) {
    const [hour, minute, second] = show(ms).slice(11, 19).split(':').map(Number) as [number, number, number];
    if ([7, 30, 31, 32].includes(second) && minute >= 58 && [0, 23].includes(hour)) named.push(ms);
  }
  const forwards: number[] = [];
  for (let ms = nextWall(cron, fromMs); ms < toMs; ms = nextWall(cron, ms)) forwards.push(ms);
  const backwards: number[] = [];
  for (let ms = latestWall(cron, toMs); ms > fromMs; ms = latestWall(cron, ms - 1)) backwards.push(ms);
  expect(forwards).toEqual(named);
  expect(backwards.toReversed()).toEqual(named);
  for (const ms of named) expect([nextWall(cron, ms - 1), latestWall(cron, ms + 999)]).toEqual([ms, ms]);
});

test('the longest rest that can be written, across a year without a 29 February, is not given up', () => {
  const cron = parseCron('0 0 29 2 *', false, '');
  expect(show(nextWall(cron, Date.UTC(2096, 1, 29)))).toBe('2104-02-29T00:00:00.000Z');
  expect(show(latestWall(cron, Date.UTC(2104, 1, 29) - 1))).toBe('2096-02-29T00:00:00.000Z');
});

test('a day that never comes is not looked for without end', () => {
  const never = { ...parseCron('0 0 29 2 *', false, ''), days: new Set([30]) };
  expect(() => nextWall(never, 0)).toThrow(expect.objectContaining({ code: 'SCHEDULE_NEVER_FIRES' }));
  expect(() => latestWall(never, 0)).toThrow(expect.objectContaining({ code: 'SCHEDULE_NEVER_FIRES' }));
});
