import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { checkSchedule, parseSchedule } from '../../src/domain/check-schedule.ts';
import type { PenstockError } from '../../src/domain/errors.ts';
import { nextDue } from '../../src/domain/schedule.ts';
import { dayArb, hourArb, minuteArb, monthArb, weekdayArb } from '../support/cron-arbitraries.ts';

function refusalOf(input: unknown): { code: string; pointer: string | undefined; message: string } {
  try {
    parseSchedule(input);
  } catch (error) {
    const { code, pointer, message } = error as PenstockError;
    return { code, pointer, message };
  }
  throw new Error(`accepted: ${JSON.stringify(input)}`);
}

describe('a cron expression is refused, with what to write instead:', () => {
  test.each([
    ['', 'write five fields'],
    [' \t ', 'write five fields'],
    ['5', 'has 1 field;'],
    ['* * * *', 'has 4 fields; write five'],
    ['0 0 0 1 1 * 2030', 'has 7 fields'],
    ['0 */5 * * * *', '{cron: "0 */5 * * * *", seconds: true}'],
    ['*/90 * * * *', '{every: "90m"}'],
    ['*/60 * * * *', '{every: "60m"}'],
    ['0 */36 * * *', '{every: "36h"}'],
    ['0 0 */40 * *', '{every: "40d"}'],
    ['0 0 1 */13 *', 'the months you mean'],
    ['0-10/20 * * * *', 'beyond 10 is never reached'],
    ['*/0 * * * *', 'a whole number of 1 or more'],
    ['*/x * * * *', 'a whole number of 1 or more'],
    ['@reboot', '{manual: true}'],
    ['@every 5m', '{every: "5m"}'],
    ['@fortnightly', '@weekly'],
    ['H * * * *', 'write a number'],
    ['H/15 * * * *', 'write a number'],
    ['H(0-5) * * * *', 'write a number'],
    ['30-10 * * * *', '"30-59,0-10"'],
    ['0 22-4 * * *', '"22-23,0-4"'],
    ['59-0 * * * *', '"59,0"'],
    ['0 0 * * FRI-MON', '"5-6,0-1"'],
    ['0 0 ? * *', 'write "*"'],
    ['5/15 * * * *', '"5-59/15"'],
    ['*,5 * * * *', 'write "*"'],
    ['1,,2 * * * *', 'empty item'],
    ['-1 * * * *', 'neither a value, a range nor a step'],
    ['5- * * * *', 'neither a value, a range nor a step'],
    ['1-2-3 * * * *', 'neither a value, a range nor a step'],
    ['*/5/5 * * * *', 'neither a value, a range nor a step'],
    ['60 * * * *', 'a number from 0 to 59'],
    ['0 24 * * *', 'a number from 0 to 23'],
    ['0 0 0 * *', 'a number from 1 to 31, or L alone'],
    ['0 0 15W * *', 'a number from 1 to 31, or L alone'],
    ['0 0 1 13 *', 'a number from 1 to 12 or JAN-DEC'],
    ['0 0 * * 8', 'a number from 0 to 7 or SUN-SAT'],
    ['0 0 * * 5#5', '5L for the last'],
    ['0 0 * * 5#0', '5#1 to 5#4'],
    ['1e1 * * * *', 'a number from 0 to 59'],
    ['1.5 * * * *', 'a number from 0 to 59'],
    ['0 0\u0000 * * *', 'a number from 0 to 23'],
    ['CRON_TZ=Europe/Berlin 0 0 * * *', '`timezone`'],
    ['x'.repeat(10_240), 'has 10240 characters; write at most 256'],
  ])('%j', (cron, advice) => {
    const refusal = refusalOf({ cron });
    expect(refusal).toMatchObject({ code: 'SCHEDULE_INVALID', pointer: '/schedule/cron' });
    expect(refusal.message).toContain(advice);
    expect(refusal.message.length).toBeLessThan(300);
  });

  test('five fields where seconds are asked for', () => {
    expect(refusalOf({ cron: '* * * * *', seconds: true }).message).toContain('second minute hour');
  });

  test('six fields without `seconds`, even after the same text was accepted with it', () => {
    expect(parseSchedule({ cron: '5 * * * * *', seconds: true })).toMatchObject({ seconds: true });
    expect(refusalOf({ cron: '5 * * * * *' }).message).toContain('seconds: true');
  });
});

describe('a cron expression that never fires is refused:', () => {
  test.each([
    ['0 0 30 2 *', 'write a day up to 29'],
    ['0 0 31 FEB,APR,jun,9,11 *', 'write a day up to 30'],
    ['0 0 30-31 2 *', '"L" for the last day'],
  ])('%j', (cron, advice) => {
    const refusal = refusalOf({ cron });
    expect(refusal).toMatchObject({ code: 'SCHEDULE_NEVER_FIRES', pointer: '/schedule/cron' });
    expect(refusal.message).toContain(advice);
  });
});

describe('bounds and exclusions that leave no time are refused:', () => {
  const newYear = { startAt: '2030-01-02T00:00:00Z', endAt: '2030-12-31T23:59:00Z' };
  test.each([
    [{ cron: '0 0 1 1 *', ...newYear }, '/schedule/endAt', 'a later endAt'],
    [{ cron: '0 6 * * *', exclude: { cron: ['* * * * *'] } }, '/schedule/exclude', 'exclude less'],
    [{ cron: '*/2 * * * *', exclude: { cron: ['*/2 * * * *'] } }, '/schedule/exclude', 'exclude less'],
    [{ cron: '30 2 29 2 *', exclude: { cron: ['* 2 * * *'] } }, '/schedule/exclude', 'exclude less'],
    [{ cron: '* * * * SUN', exclude: { cron: ['* * * * 0,6'] } }, '/schedule/exclude', 'exclude less'],
    [{ every: '2m', exclude: { cron: ['*/2 * * * *'] } }, '/schedule/exclude', 'exclude less'],
    [{ every: '7d', exclude: { cron: ['* * * * THU'] } }, '/schedule/exclude', 'exclude less'],
    [
      { every: '1h', ...newYear, exclude: { dates: ['2030-01-01/2030-12-31'] } },
      '/schedule/exclude',
      'exclude less',
    ],
    [
      { anyOf: [{ at: '2030-01-31T06:00:00Z' }, { cron: '@daily', exclude: { cron: ['0 0-6 * * *'] } }] },
      '/schedule/anyOf/1/exclude',
      'exclude less',
    ],
    [{ cron: '@daily', exclude: { cron: ['* * 31 2 *'] } }, '/schedule/exclude/cron/0', 'a day up to 29'],
  ])('%j', (schedule, pointer, advice) => {
    const refusal = refusalOf(schedule);
    expect(refusal).toMatchObject({ code: 'SCHEDULE_NEVER_FIRES', pointer });
    expect(refusal.message).toContain(advice);
  });
});

describe('a time zone is refused, with names that were probably meant:', () => {
  test.each([
    ['', 'is empty'],
    [' ', 'is empty'],
    ['Berlin', 'did you mean Europe/Berlin?'],
    ['Europe/Berln', 'did you mean Europe/Berlin?'],
    ['New York', 'did you mean America/New_York?'],
    ['Asia/Kolkatta', 'did you mean Asia/Kolkata?'],
    ['UTC ', 'did you mean UTC?'],
    ['Americа/New_York', 'did you mean America/New_York?'],
    ['Mars/Olympus', 'write an IANA name'],
    ['local', 'write an IANA name'],
    ['Etc/Unknown', 'write an IANA name'],
    ['+05:30', 'is an offset'],
    ['UTC+3', 'is an offset'],
    ['-03', 'is an offset'],
    ['IST', 'short for more than one zone'],
    ['pst', 'America/Los_Angeles'],
    ['x'.repeat(10_000), 'has 10000 characters'],
  ])('%j', (timezone, advice) => {
    const refusal = refusalOf({ cron: '0 0 * * *', timezone });
    expect(refusal).toMatchObject({ code: 'UNKNOWN_ZONE', pointer: '/schedule/timezone' });
    expect(refusal.message).toContain(advice);
    expect(refusal.message.length).toBeLessThan(250);
  });
});

describe('other schedules are refused with a pointer to the member:', () => {
  test.each([
    [null, '/schedule', 'is not an object'],
    ['@daily', '/schedule', 'is not an object'],
    [[], '/schedule', 'is not an object'],
    [{}, '/schedule', 'has none of cron, every, at, anyOf, after, manual'],
    [{ cron: '* * * * *', every: '5m' }, '/schedule', 'has cron and every'],
    [{ cron: 5 }, '/schedule/cron', 'expected string'],
    [{ cron: '0 0 * * *', timezone: 5 }, '/schedule/timezone', 'expected string'],
    [{ cron: '0 0 * * *', seconds: 'no' }, '/schedule/seconds', 'expected boolean'],
    [{ cron: '0 0 * * *', zone: 'UTC' }, '/schedule/zone', 'timezone'],
    [{ at: '2030-01-01T00:00:00Z', startAt: 1 }, '/schedule/startAt', 'has no member "startAt"'],
    [{ manual: true, 'a/b~c': 1 }, '/schedule/a~1b~0c', 'has no member'],
    [{ manual: false }, '/schedule/manual', '{manual: true}'],
    [{ every: '0s' }, '/schedule/every', 'from 1s to 3650d'],
    [{ every: '999ms' }, '/schedule/every', 'from 1s to 3650d'],
    [{ every: '999999999999d' }, '/schedule/every', 'from 1s to 3650d'],
    [{ every: '5 minutes' }, '/schedule/every', 'a whole number with a unit'],
    [{ every: '5m', startAt: '2026-02-30T00:00:00Z' }, '/schedule/startAt', '2030-01-31T06:00:00Z'],
    [{ every: '5m', startAt: '1969-12-31T23:59:59Z' }, '/schedule/startAt', '1970 to 9999'],
    [{ cron: '@daily', startAt: 'soon' }, '/schedule/startAt', '2030-01-31T06:00:00Z'],
    [{ cron: '@daily', endAt: '2026-13-01T00:00:00Z' }, '/schedule/endAt', '2030-01-31T06:00:00Z'],
    [{ every: '1d', endAt: '0001-01-01T00:00:00Z' }, '/schedule/endAt', '1970 to 9999'],
    [
      { every: '5m', startAt: '2030-01-02T00:00:00Z', endAt: '2030-01-01T00:00:00Z' },
      '/schedule/endAt',
      'write a time from 2030-01-02T00:00:00Z on',
    ],
    [{ every: '5m', timezone: 'Europe/Berlin' }, '/schedule/timezone', 'whose clock `exclude` means'],
    [{ cron: '@daily', exclude: ['2030-12-24'] }, '/schedule/exclude', 'exclude: {dates: ["2030-12-24"]'],
    [{ cron: '@daily', exclude: { days: [] } }, '/schedule/exclude/days', 'exclude: {dates:'],
    [{ cron: '@daily', exclude: { dates: ['x'.repeat(22)] } }, '/schedule/exclude/dates/0', '{dates:'],
    [{ cron: '@daily', exclude: { dates: ['2030-02-30'] } }, '/schedule/exclude/dates/0', '"2030-12-24"'],
    [{ cron: '@daily', exclude: { dates: ['24.12.2030'] } }, '/schedule/exclude/dates/0', '"2030-12-24"'],
    [
      { cron: '@daily', exclude: { dates: ['2030-12-24', '2031-01-06/2030-12-24'] } },
      '/schedule/exclude/dates/1',
      'write "2030-12-24/2031-01-06"',
    ],
    [{ cron: '@daily', exclude: { cron: ['* * * *'] } }, '/schedule/exclude/cron/0', 'write five'],
    [{ every: '1h', exclude: { cron: ['0 0 * * H'] } }, '/schedule/exclude/cron/0', 'write a number'],
    [{ every: '1h', jitter: '25h' }, '/schedule/jitter', 'write it like "10m"'],
    [{ every: '1h', jitter: 'some' }, '/schedule/jitter', 'a whole number with a unit'],
    [{ cron: '@daily', maxRuns: 0 }, '/schedule/maxRuns', 'maxRuns: 10'],
    [{ at: '2030-01-31T06:00:00Z', jitter: '1m' }, '/schedule/jitter', 'has no member'],
    [{ anyOf: [{ every: '1h', jitter: '1m' }] }, '/schedule/anyOf/0/jitter', 'has no member'],
    [{ anyOf: [] }, '/schedule/anyOf', '{anyOf: [{cron: "0 6 * * *"}'],
    [{ anyOf: [{ cron: '@daily' }, {}] }, '/schedule/anyOf/1', 'has none of cron, every, at;'],
    [{ anyOf: [{ manual: true }] }, '/schedule/anyOf/0', 'has manual; write one of {cron:'],
    [{ anyOf: [{ after: { sync: 'orders' } }] }, '/schedule/anyOf/0', 'has after; write one of {cron:'],
    [{ after: 'orders' }, '/schedule/after', '{after: {sync: "orders"}}'],
    [{ after: { sync: '' } }, '/schedule/after/sync', '{after: {sync: "orders"}}'],
    [{ after: { sync: 'orders', when: 'failed' } }, '/schedule/after/when', '"succeeded"|"finished"'],
    [{ after: { sync: 'orders' }, jitter: '1m' }, '/schedule/jitter', 'has no member'],
    [{ anyOf: [{ anyOf: [] }] }, '/schedule/anyOf/0', 'has anyOf; write one of {cron:'],
    [{ anyOf: [{ every: '1s' }, { every: '0s' }] }, '/schedule/anyOf/1/every', 'from 1s to 3650d'],
    [{ anyOf: [{ cron: '5' }] }, '/schedule/anyOf/0/cron', 'has 1 field;'],
    [{ at: 'tomorrow' }, '/schedule/at', '2030-01-31T06:00:00Z'],
    [{ at: '2026-01-01T00:00:00' }, '/schedule/at', '2030-01-31T06:00:00Z'],
    [{ at: '9999-12-31T23:59:59-01:00' }, '/schedule/at', '1970 to 9999'],
  ])('%j', (schedule, pointer, advice) => {
    const refusal = refusalOf(schedule);
    expect(refusal).toMatchObject({ code: 'SCHEDULE_INVALID', pointer });
    expect(refusal.message).toContain(advice);
  });
});

test('what is accepted comes back with its defaults', () => {
  expect(parseSchedule({ cron: '@hourly' })).toEqual({ cron: '@hourly', timezone: 'UTC' });
  expect(parseSchedule({ cron: '@daily', seconds: true })).toEqual({
    cron: '@daily',
    timezone: 'UTC',
    seconds: true,
  });
  expect(parseSchedule({ every: '1s' })).toEqual({ every: '1s' });
  expect(parseSchedule({ at: '2030-01-01T00:00:00+05:30' })).toEqual({ at: '2030-01-01T00:00:00+05:30' });
  expect(parseSchedule({ manual: true })).toEqual({ manual: true });
  expect(parseSchedule({ after: { sync: 'orders' } })).toEqual({
    after: { sync: 'orders', when: 'succeeded' },
  });
});

test('a schedule that already has the shape is checked at the same places', () => {
  const check = (input: Parameters<typeof checkSchedule>[0]) => () => checkSchedule(input, '/spec/schedule');
  const refusal = (code: string, member: string) =>
    expect.objectContaining({ code, pointer: `/spec/schedule/${member}` });
  expect(check({ cron: '', timezone: 'UTC' })).toThrow(refusal('SCHEDULE_INVALID', 'cron'));
  expect(check({ cron: '0 0 * * *', timezone: '' })).toThrow(refusal('UNKNOWN_ZONE', 'timezone'));
  expect(check({ every: '1ms' })).toThrow(refusal('SCHEDULE_INVALID', 'every'));
  expect(check({ at: 'never' })).toThrow(refusal('SCHEDULE_INVALID', 'at'));
  expect(check({ manual: true })).not.toThrow();
});

test('every zone of Intl, and the ones that it accepts without listing them, are accepted', () => {
  const unlisted = [
    'UTC',
    'GMT',
    'Asia/Kolkata',
    'Europe/Kyiv',
    'US/Pacific',
    'EST5EDT',
    'Etc/GMT+3',
    'GMT+0',
    'CET',
  ];
  for (const timezone of [...Intl.supportedValuesOf('timeZone'), ...unlisted])
    expect(() => parseSchedule({ cron: '0 0 * * *', timezone })).not.toThrow();
});

test('no text makes anything but an accepted schedule or a refusal with code and pointer', () => {
  const almostCron = fc
    .array(fc.constantFrom(...'0159*/,-LH#?@ \tJANfri'.split('')), { maxLength: 20 })
    .map((letters) => letters.join(''));
  fc.assert(
    fc.property(
      fc.oneof(almostCron, fc.string()),
      fc.oneof(fc.constant('UTC'), fc.string()),
      (cron, timezone) => {
        try {
          const schedule = parseSchedule({ cron, timezone });
          expect(nextDue(schedule, Date.UTC(2026, 0, 1))).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({
            name: 'PenstockError',
            pointer: expect.stringMatching(/^\/schedule\//),
          });
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('any well-formed expression is accepted and has a next fire, unless it names days that its months lack', () => {
  const cron = fc.tuple(minuteArb, hourArb, dayArb, monthArb, weekdayArb).map((fields) => fields.join(' '));
  fc.assert(
    fc.property(cron, (text) => {
      try {
        expect(nextDue(parseSchedule({ cron: text }), Date.UTC(2026, 0, 1))).toBeGreaterThan(0);
      } catch (error) {
        expect(error).toMatchObject({ code: 'SCHEDULE_NEVER_FIRES' });
        expect(text).toMatch(/^\S+ \S+ \S*3[01]\S* \S+ \*$/);
      }
    }),
    { numRuns: 500 },
  );
});
