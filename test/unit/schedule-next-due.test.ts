import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { latestDue, nextDue } from '../../src/domain/schedule.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';
import { dayArb, monthArb, weekdayArb } from '../support/cron-arbitraries.ts';
import { cronMatcher } from '../support/minute-walker.ts';

const dayMs = 86_400_000;
const iso = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString().replace('.000Z', 'Z');

/** The fires after an instant, each asked from the one before. */
function fires(schedule: Schedule, after: string, count: number): (string | null)[] {
  const found: (string | null)[] = [];
  for (let ms: number | null = Date.parse(after); ms !== null && found.length < count;) {
    ms = nextDue(schedule, ms);
    found.push(iso(ms));
  }
  return found;
}
const cronFires = (cron: string, timezone: string, after: string, count = 3): (string | null)[] =>
  fires({ cron, timezone, ...(cron.split(' ').length === 6 && { seconds: true }) }, after, count);

describe('cron-parser traps', () => {
  test('an hourly expression goes on through the overlap of Lord Howe, where clocks go back by 30 minutes', () => {
    // 2026-04-04T15:00Z: 02:00 becomes 01:30
    expect(cronFires('0 * * * *', 'Australia/Lord_Howe', '2026-04-04T13:30:00Z')).toEqual([
      '2026-04-04T14:00:00Z',
      '2026-04-04T15:30:00Z',
      '2026-04-04T16:30:00Z',
    ]);
    expect(cronFires('45 * * * *', 'Australia/Lord_Howe', '2026-04-04T14:00:00Z')).toEqual([
      '2026-04-04T14:45:00Z',
      '2026-04-04T15:15:00Z',
      '2026-04-04T16:15:00Z',
    ]);
  });

  test('a daily time inside the 30-minute gap of Lord Howe fires at its end, and no day is skipped', () => {
    // 2026-10-03T15:30Z: 02:00 becomes 02:30
    expect(cronFires('15 2 * * *', 'Australia/Lord_Howe', '2026-10-01T16:00:00Z')).toEqual([
      '2026-10-02T15:45:00Z',
      '2026-10-03T15:30:00Z',
      '2026-10-04T15:15:00Z',
    ]);
  });

  test('a daily time inside the 2-hour overlap of Troll fires once, at its first occurrence', () => {
    // 2026-10-25T01:00Z: 03:00 becomes 01:00
    expect(cronFires('30 2 * * *', 'Antarctica/Troll', '2026-10-24T01:00:00Z')).toEqual([
      '2026-10-25T00:30:00Z',
      '2026-10-26T02:30:00Z',
      '2026-10-27T02:30:00Z',
    ]);
  });

  test('a daily time inside the 2-hour gap of Troll fires at its end', () => {
    // 2026-03-29T01:00Z: 01:00 becomes 03:00
    expect(cronFires('30 2 * * *', 'Antarctica/Troll', '2026-03-28T03:00:00Z', 2)).toEqual([
      '2026-03-29T01:00:00Z',
      '2026-03-30T00:30:00Z',
    ]);
  });

  test('29 February is found across the century that has none', () => {
    expect(cronFires('0 0 29 2 *', 'UTC', '2095-01-01T00:00:00Z', 3)).toEqual([
      '2096-02-29T00:00:00Z',
      '2104-02-29T00:00:00Z',
      '2108-02-29T00:00:00Z',
    ]);
    expect(iso(latestDue({ cron: '0 0 29 2 *', timezone: 'UTC' }, Date.parse('2104-02-28T00:00:00Z')))).toBe(
      '2096-02-29T00:00:00Z',
    );
  });
});

describe('cron', () => {
  test('several wall times inside one gap are one fire', () => {
    expect(cronFires('*/15 2 * * *', 'Europe/Berlin', '2026-03-28T01:40:00Z')).toEqual([
      '2026-03-28T01:45:00Z',
      '2026-03-29T01:00:00Z',
      '2026-03-30T00:00:00Z',
    ]);
  });

  test('an every-hour expression fires in both passes of an overlap, a two-hourly one in the first', () => {
    // 2026-10-25T01:00Z: 03:00 becomes 02:00
    expect(cronFires('30 * * * *', 'Europe/Berlin', '2026-10-24T23:40:00Z')).toEqual([
      '2026-10-25T00:30:00Z',
      '2026-10-25T01:30:00Z',
      '2026-10-25T02:30:00Z',
    ]);
    expect(cronFires('30 */2 * * *', 'Europe/Berlin', '2026-10-24T23:40:00Z')).toEqual([
      '2026-10-25T00:30:00Z',
      '2026-10-25T03:30:00Z',
      '2026-10-25T05:30:00Z',
    ]);
  });

  test('a midnight that does not exist is the first instant of its day', () => {
    // Santiago 2026-09-06: 00:00 becomes 01:00
    expect(cronFires('0 0 * * *', 'America/Santiago', '2026-09-05T05:00:00Z', 2)).toEqual([
      '2026-09-06T04:00:00Z',
      '2026-09-07T03:00:00Z',
    ]);
  });

  test('the day that Samoa left out fires at its end', () => {
    expect(cronFires('0 12 * * *', 'Pacific/Apia', '2011-12-29T00:00:00Z')).toEqual([
      '2011-12-29T22:00:00Z',
      '2011-12-30T10:00:00Z',
      '2011-12-30T22:00:00Z',
    ]);
  });

  test('either day of month or weekday matches when both are restricted', () => {
    expect(cronFires('0 0 13 * FRI', 'UTC', '2026-11-09T00:00:00Z')).toEqual([
      '2026-11-13T00:00:00Z',
      '2026-11-20T00:00:00Z',
      '2026-11-27T00:00:00Z',
    ]);
    expect(cronFires('0 0 31 2 MON', 'UTC', '2026-02-01T00:00:00Z', 1)).toEqual(['2026-02-02T00:00:00Z']);
  });

  test('a star with a step of one restricts nothing', () => {
    expect(cronFires('0 0 */1 * MON', 'UTC', '2026-11-09T00:00:00Z', 2)).toEqual([
      '2026-11-16T00:00:00Z',
      '2026-11-23T00:00:00Z',
    ]);
  });

  test('six fields put seconds first', () => {
    expect(cronFires('*/20 0 * * * *', 'Asia/Kolkata', '2026-01-01T00:30:20Z', 2)).toEqual([
      '2026-01-01T00:30:40Z',
      '2026-01-01T01:30:00Z',
    ]);
  });

  test('seconds inside a gap and an overlap follow the same rule', () => {
    expect(cronFires('30 59 2 * * *', 'Europe/Berlin', '2026-03-28T03:00:00Z', 1)).toEqual([
      '2026-03-29T01:00:00Z',
    ]);
    expect(cronFires('30 59 2 * * *', 'Europe/Berlin', '2026-10-24T03:00:00Z', 2)).toEqual([
      '2026-10-25T00:59:30Z',
      '2026-10-26T01:59:30Z',
    ]);
  });

  test('aliases are the expressions they stand for', () => {
    const first = (cron: string) => cronFires(cron, 'UTC', '2026-05-13T10:20:30Z', 1)[0];
    expect(
      ['@hourly', '@daily', '@midnight', '@weekly', '@monthly', '@yearly', '@annually'].map(first),
    ).toEqual([
      '2026-05-13T11:00:00Z',
      '2026-05-14T00:00:00Z',
      '2026-05-14T00:00:00Z',
      '2026-05-17T00:00:00Z',
      '2026-06-01T00:00:00Z',
      '2027-01-01T00:00:00Z',
      '2027-01-01T00:00:00Z',
    ]);
    expect(cronFires('@Daily', 'UTC', '2026-05-13T10:20:30Z', 1)).toEqual(['2026-05-14T00:00:00Z']);
  });

  test('values that a list names twice count once', () => {
    expect(cronFires('0,*/30,0 6 * * 0,7', 'UTC', '2026-11-09T00:00:00Z', 3)).toEqual([
      '2026-11-15T06:00:00Z',
      '2026-11-15T06:30:00Z',
      '2026-11-22T06:00:00Z',
    ]);
  });

  test('the calendar ends with the year 9999 and begins with 1970', () => {
    const schedule: Schedule = { cron: '0 0 1 1 *', timezone: 'UTC' };
    expect(nextDue(schedule, Date.UTC(9999, 0, 1))).toBeNull();
    expect(nextDue(schedule, Date.UTC(9998, 5, 1))).toBe(Date.UTC(9999, 0, 1));
    expect(nextDue(schedule, Number.MAX_SAFE_INTEGER)).toBeNull();
    expect(nextDue(schedule, -Infinity)).toBe(0);
    expect(nextDue({ cron: '0 23 31 12 *', timezone: 'America/New_York' }, Date.UTC(9999, 0, 2))).toBeNull();
    expect(latestDue(schedule, -1)).toBeNull();
    expect(latestDue(schedule, -Infinity)).toBeNull();
    expect(latestDue({ cron: '0 0 2 1 *', timezone: 'UTC' }, 0)).toBeNull();
    expect(latestDue(schedule, Infinity)).toBe(Date.UTC(9999, 0, 1));
  });

  test('any days, months and weekdays match as when every day is tried', () => {
    const arb = fc.record({
      cron: fc.tuple(dayArb, monthArb, weekdayArb).map((fields) => `0 0 ${fields.join(' ')}`),
      fromDay: fc.integer({ min: 1, max: 40_000 }),
    });
    fc.assert(
      fc.property(arb, ({ cron, fromDay }) => {
        const matches = cronMatcher(cron);
        const days = Array.from({ length: 3_000 }, (_, i) => (fromDay + i) * dayMs);
        const expected = days.filter(matches).slice(0, 4);
        fc.pre(expected.length > 0);
        const schedule: Schedule = { cron, timezone: 'UTC' };
        let ms = fromDay * dayMs - 1;
        for (const fire of expected) {
          ms = nextDue(schedule, ms)!;
          expect(ms).toBe(fire);
        }
        for (const [i, fire] of expected.entries()) {
          expect(latestDue(schedule, fire)).toBe(fire);
          if (i > 0) expect(latestDue(schedule, fire - 1)).toBe(expected[i - 1]);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('intervals', () => {
  test('without a start they are anchored at the Unix epoch, so every process agrees', () => {
    expect(fires({ every: '45m' }, '2026-01-01T00:00:00Z', 3)).toEqual([
      '2026-01-01T00:45:00Z',
      '2026-01-01T01:30:00Z',
      '2026-01-01T02:15:00Z',
    ]);
    expect(nextDue({ every: '7d' }, 0)).toBe(7 * dayMs);
  });

  test('with a start the first fire is the start, and none comes before it', () => {
    const schedule: Schedule = { every: '90m', startAt: '2026-03-28T23:10:00+01:00' };
    expect(fires(schedule, '2020-01-01T00:00:00Z', 3)).toEqual([
      '2026-03-28T22:10:00Z',
      '2026-03-28T23:40:00Z',
      '2026-03-29T01:10:00Z',
    ]);
    expect(latestDue(schedule, Date.parse('2026-03-28T22:09:59.999Z'))).toBeNull();
    expect(iso(latestDue(schedule, Date.parse('2026-03-28T23:39:59.999Z')))).toBe('2026-03-28T22:10:00Z');
  });

  test('asking late never moves the fires', () => {
    const minutes = fc.integer({ min: 1, max: 10_000 });
    const moment = fc.integer({ min: 0, max: 4e12 });
    fc.assert(
      fc.property(minutes, moment, fc.option(moment), (every, afterMs, startMs) => {
        const startAt = startMs === null ? {} : { startAt: new Date(startMs).toISOString() };
        const schedule: Schedule = { every: `${every}m`, ...startAt };
        const next = nextDue(schedule, afterMs)!;
        const anchor = startMs ?? 0;
        expect((next - anchor) % (every * 60_000)).toBe(0);
        expect(next).toBeGreaterThan(afterMs);
        expect(next).toBeGreaterThanOrEqual(anchor);
        expect(nextDue(schedule, next - 1)).toBe(next);
        expect(latestDue(schedule, next)).toBe(next);
        if (next > anchor) expect(next - afterMs).toBeLessThanOrEqual(every * 60_000);
      }),
    );
  });
});

test('a one-off fires at its time and never again', () => {
  const schedule: Schedule = { at: '2026-06-01T12:00:00+02:00' };
  const at = Date.parse('2026-06-01T10:00:00Z');
  expect([nextDue(schedule, at - 1), nextDue(schedule, at)]).toEqual([at, null]);
  expect([latestDue(schedule, at - 1), latestDue(schedule, at)]).toEqual([null, at]);
});

test('a manual schedule never fires', () => {
  expect(nextDue({ manual: true }, 0)).toBeNull();
  expect(latestDue({ manual: true }, 1e12)).toBeNull();
});

const anySchedule = fc.constantFrom<Schedule>(
  { cron: '*/15 9-17 * * 1-5', timezone: 'America/New_York' },
  { cron: '30 2 * * *', timezone: 'Europe/Berlin' },
  { cron: '45 * * * *', timezone: 'Australia/Lord_Howe' },
  { cron: '0 0 L * *', timezone: 'Africa/Casablanca' },
  { cron: '10 * * * *', timezone: 'America/Santiago', exclude: { cron: ['* 0-5 * * *', '* * * * SUN'] } },
  { every: '50m', timezone: 'Europe/Berlin', exclude: { cron: ['30-59 1-3 * * *'], dates: ['2024-02-29'] } },
  { cron: '0 6 * * *', timezone: 'UTC', startAt: '2020-06-01T06:00:00Z', endAt: '2029-06-01T06:00:00Z' },
  { anyOf: [{ every: '7h' }, { cron: '0 */7 * * *', timezone: 'Asia/Kolkata' }] },
  { every: '45m' },
);

test('the answer never depends on where one asks from: a chain from the past is what a direct question finds', () => {
  const moment = fc.integer({ min: Date.UTC(2020, 0, 1), max: Date.UTC(2030, 0, 1) });
  fc.assert(
    fc.property(anySchedule, moment, fc.integer({ min: 0, max: 3 * dayMs }), (schedule, fromMs, awayMs) => {
      const askedMs = fromMs + awayMs;
      const direct = nextDue(schedule, askedMs);
      let chained: number | null = fromMs;
      while (chained !== null && chained <= askedMs) chained = nextDue(schedule, chained);
      expect(chained).toBe(direct);
      const latest = latestDue(schedule, askedMs);
      if (latest === null) return;
      expect(nextDue(schedule, latest)).toBe(direct);
      expect(nextDue(schedule, latest - 1)).toBe(latest);
    }),
    { numRuns: 150 },
  );
});

test('a thousand expressions and zones between two questions change no answer', () => {
  const schedule: Schedule = { cron: '30 2 * * *', timezone: 'Europe/Berlin' };
  const ask = () => fires(schedule, '2026-03-27T00:00:00Z', 4);
  const before = ask();
  for (let i = 0; i < 2_100; i++)
    nextDue({ cron: `${i % 60} ${Math.floor(i / 60) % 24} ${1 + (i % 28)} * *`, timezone: 'UTC' }, i * 1e9);
  for (const timezone of Intl.supportedValuesOf('timeZone'))
    nextDue({ cron: '30 2 * * *', timezone }, Date.UTC(2026, 2, 27));
  expect(ask()).toEqual(before);
});
