import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { latestDue, nextDue, nextTimes } from '../../src/domain/schedule.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';
import { dayArb, hourArb, minuteArb, monthArb, weekdayArb } from '../support/cron-arbitraries.ts';
import { cronMatcher, firesByWalking, walkMinutes } from '../support/minute-walker.ts';

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;
const iso = (ms: number | null): string | null =>
  ms === null ? null : new Date(ms).toISOString().replace(':00.000Z', 'Z');

function fires(schedule: Schedule, after: string, count: number): (string | null)[] {
  const found: (string | null)[] = [];
  for (let ms: number | null = Date.parse(after); ms !== null && found.length < count;) {
    ms = nextDue(schedule, ms);
    found.push(iso(ms));
  }
  return found;
}

/** All fires from one instant up to, and without, another, asked forwards and backwards. */
function chains(schedule: Schedule, fromMs: number, toMs: number): [(string | null)[], (string | null)[]] {
  const [there, back]: [number[], number[]] = [[], []];
  for (let ms = nextDue(schedule, fromMs - 1); ms !== null && ms < toMs; ms = nextDue(schedule, ms))
    there.push(ms);
  for (let ms = latestDue(schedule, toMs - 1); ms !== null && ms >= fromMs; ms = latestDue(schedule, ms - 1))
    back.push(ms);
  return [there.map(iso), back.toReversed().map(iso)];
}

describe('exclusions', () => {
  test('a day is left out by the clock of the zone', () => {
    expect(
      fires(
        { cron: '30 23 * * *', timezone: 'Asia/Tokyo', exclude: { dates: ['2030-12-24'] } },
        '2030-12-22T20:00:00Z',
        2,
      ),
    ).toEqual(['2030-12-23T14:30Z', '2030-12-25T14:30Z']);
  });

  test('a stretch of days is left out with both its ends', () => {
    expect(
      fires(
        { cron: '0 6 * * *', timezone: 'UTC', exclude: { dates: ['2030-12-24/2031-01-06'] } },
        '2030-12-22T20:00:00Z',
        2,
      ),
    ).toEqual(['2030-12-23T06:00Z', '2031-01-07T06:00Z']);
  });

  test('recurring minutes are left out: nights and weekends', () => {
    const schedule: Schedule = {
      cron: '0 */6 * * *',
      timezone: 'Europe/Berlin',
      exclude: { cron: ['* 0-5 * * *', '* * * * SAT,SUN'] },
    };
    expect(fires(schedule, '2026-01-02T06:00:00Z', 4)).toEqual([
      '2026-01-02T11:00Z',
      '2026-01-02T17:00Z',
      '2026-01-05T05:00Z',
      '2026-01-05T11:00Z',
    ]);
  });

  test('an excluded minute leaves out all its seconds', () => {
    expect(
      fires(
        {
          cron: '*/30 * * * * *',
          seconds: true,
          timezone: 'UTC',
          exclude: { cron: ['1-58 * * * *'] },
        },
        '2026-01-01T00:00:00Z',
        4,
      ),
    ).toEqual([
      '2026-01-01T00:00:30.000Z',
      '2026-01-01T00:59Z',
      '2026-01-01T00:59:30.000Z',
      '2026-01-01T01:00Z',
    ]);
  });

  test('towards the past, the last second of the minute before an excluded one is found', () => {
    const exclude = { cron: ['1-58 * * * *'] };
    const halfPast = Date.parse('2026-01-01T00:30:00Z');
    const latest = (schedule: Schedule) => iso(latestDue(schedule, halfPast));
    expect(latest({ cron: '*/30 * * * * *', seconds: true, timezone: 'UTC', exclude })).toBe(
      '2026-01-01T00:00:30.000Z',
    );
    expect(latest({ every: '20s', exclude })).toBe('2026-01-01T00:00:40.000Z');
  });

  test('no leap over months goes past a time that the clock shows again', () => {
    // Berlin 2026-10-25T01:00Z: 03:00 becomes 02:00
    const hourly = { cron: '30 * * * *', timezone: 'Europe/Berlin' };
    const on = { ...hourly, exclude: { cron: ['* 3-23 * * *'], dates: ['2026-10-26/2027-06-30'] } };
    expect(fires(on, '2026-10-25T00:30:00Z', 1)).toEqual(['2026-10-25T01:30Z']);
    const back = {
      ...hourly,
      exclude: { cron: ['* 0-1 * * *', '* 3-23 * * *'], dates: ['2025-06-01/2026-10-24'] },
    };
    expect(iso(latestDue(back, Date.parse('2026-10-25T01:10:00Z')))).toBe('2026-10-25T00:30Z');
  });

  test('a month of excluded times is leapt over by days, not by times', () => {
    const schedule: Schedule = {
      cron: '*/2 * * * *',
      timezone: 'UTC',
      exclude: { cron: ['*/2 * 1-30 * *'] },
    };
    expect(fires(schedule, '2026-04-01T00:00:00Z', 2)).toEqual(['2026-05-31T00:00Z', '2026-05-31T00:02Z']);
    expect(iso(latestDue(schedule, Date.UTC(2026, 4, 30)))).toBe('2026-03-31T23:58Z');
  });

  test('a time is judged by what it is called, also where a gap moves it into an excluded hour', () => {
    // Berlin 2026-03-29: 02:00 becomes 03:00
    const at = (exclude: string) =>
      fires(
        { cron: '30 2 * * *', timezone: 'Europe/Berlin', exclude: { cron: [exclude] } },
        '2026-03-28T12:00:00Z',
        1,
      );
    expect(at('* 3 * * *')).toEqual(['2026-03-29T01:00Z']);
    expect(at('* * 29 3 *')).toEqual(['2026-03-30T00:30Z']);
  });

  test('an interval keeps its pace over what is left out, by the clock of the zone that is said', () => {
    const schedule: Schedule = {
      every: '7h',
      startAt: '2026-01-01T00:00:00Z',
      timezone: 'Asia/Kolkata',
      exclude: { cron: ['* 0-8 * * *'] },
    };
    // 05:30, 12:30, 19:30, 02:30, 09:30 in Kolkata
    expect(fires(schedule, '2026-01-01T00:00:00Z', 3)).toEqual([
      '2026-01-01T07:00Z',
      '2026-01-01T14:00Z',
      '2026-01-02T04:00Z',
    ]);
  });

  test('in the second pass of an overlap an interval is judged by what the clock shows again', () => {
    // Berlin 2026-10-25T01:00Z: 03:00 becomes 02:00
    const schedule: Schedule = {
      every: '30m',
      timezone: 'Europe/Berlin',
      exclude: { cron: ['30-59 2 * * *', '* 3-23 * * *'] },
    };
    expect(fires(schedule, '2026-10-24T23:30:00Z', 3)).toEqual([
      '2026-10-25T00:00Z',
      '2026-10-25T01:00Z',
      '2026-10-25T23:00Z',
    ]);
  });

  test('millennia of excluded seconds are leapt over', () => {
    const schedule: Schedule = {
      anyOf: [
        {
          cron: '* * * * * *',
          seconds: true,
          timezone: 'UTC',
          exclude: { dates: ['1980-01-01/8999-12-31'] },
        },
        { every: '1s', exclude: { dates: ['1980-01-01/8999-12-31'] } },
      ],
    };
    expect(nextDue(schedule, Date.UTC(1980, 0, 1))).toBe(Date.UTC(9000, 0, 1));
    expect(latestDue(schedule, Date.UTC(8999, 11, 31))).toBe(Date.UTC(1980, 0, 1) - 1_000);
  });

  test('what remains once in years is found: a 29 February that is a Sunday', () => {
    const schedule: Schedule = {
      cron: '0 6 29 2 *',
      timezone: 'UTC',
      exclude: { cron: ['* * * * MON-SAT'] },
    };
    expect(fires(schedule, '2024-01-01T00:00:00Z', 2)).toEqual(['2032-02-29T06:00Z', '2060-02-29T06:00Z']);
    expect(iso(latestDue(schedule, Date.UTC(2060, 0, 1)))).toBe('2032-02-29T06:00Z');
  });
});

test('several times at once are those that are found one by one, each spec with its own', () => {
  const anyOf = [
    { cron: '0 3 * * *', timezone: 'Europe/Berlin', exclude: { cron: ['* * 2-31 * *', '* * * 2-12 *'] } },
    { cron: '0 2 * * SUN', timezone: 'UTC', exclude: { cron: ['* * 8-14 * *', '1-59/2 * * * *'] } },
    {
      cron: '59 1,2 * * *',
      timezone: 'UTC',
      exclude: { cron: ['*/59 1 * * *', '* 2 * * SUN', '* * * 3 *'] },
    },
    { every: '36h', startAt: '2030-01-01T02:00:00Z', exclude: { dates: ['2030-02-01/2030-03-31'] } },
    { at: '2030-01-01T02:00:00Z' },
  ];
  const schedule: Schedule = { anyOf };
  const times = nextTimes(schedule, Date.parse('2029-12-01T00:00:00Z'), 500);
  expect(times.map(iso)).toEqual(fires(schedule, '2029-12-01T00:00:00Z', 500));
});

describe('bounds', () => {
  const bounded: Schedule = {
    cron: '0 6 * * *',
    timezone: 'UTC',
    startAt: '2026-01-02T06:00:00Z',
    endAt: '2026-01-04T07:00:00+01:00',
  };

  test('no fire comes before startAt or after endAt, both of which may be one', () => {
    expect(fires(bounded, '2020-01-01T00:00:00Z', 5)).toEqual([
      '2026-01-02T06:00Z',
      '2026-01-03T06:00Z',
      '2026-01-04T06:00Z',
      null,
    ]);
    expect(latestDue(bounded, Date.parse('2026-01-02T05:59:59.999Z'))).toBeNull();
    expect(iso(latestDue(bounded, Date.UTC(2030, 0, 1)))).toBe('2026-01-04T06:00Z');
  });

  test('startAt does not move the times of an expression, and is the origin of an interval', () => {
    const startAt = '2026-01-02T06:10:00Z';
    expect(fires({ cron: '0 * * * *', timezone: 'UTC', startAt }, '2020-01-01T00:00:00Z', 1)).toEqual([
      '2026-01-02T07:00Z',
    ]);
    expect(fires({ every: '1h', startAt, endAt: '2026-01-02T08:09:59Z' }, '2020-01-01T00:00:00Z', 3)).toEqual(
      ['2026-01-02T06:10Z', '2026-01-02T07:10Z', null],
    );
  });

  test('an exclusion that reaches beyond a bound ends there', () => {
    const exclude = { dates: ['2026-01-01/2026-01-03'] };
    expect(fires({ ...bounded, exclude }, '2020-01-01T00:00:00Z', 2)).toEqual(['2026-01-04T06:00Z', null]);
    expect(latestDue({ ...bounded, exclude }, Date.UTC(2026, 0, 4))).toBeNull();
    const never = { every: '1h', exclude: { cron: ['* * * * *'] } };
    expect(nextDue({ ...never, endAt: '1970-01-05T00:00:00Z' }, 0)).toBeNull();
    expect(latestDue({ ...never, startAt: '2026-01-01T00:00:00Z' }, Date.UTC(2026, 0, 9))).toBeNull();
  });
});

describe('several specs', () => {
  const workdays: Schedule = {
    anyOf: [
      { cron: '0 9-17 * * 1-5', timezone: 'America/New_York' },
      { cron: '0 12 * * *', timezone: 'America/New_York' },
      { at: '2026-01-03T20:00:00Z' },
      { every: '1d', startAt: '2026-01-05T14:00:00Z', endAt: '2026-01-06T00:00:00Z' },
    ],
  };

  test('a time that two of them give is one', () => {
    expect(fires(workdays, '2026-01-02T21:30:00Z', 6)).toEqual([
      '2026-01-02T22:00Z',
      '2026-01-03T17:00Z',
      '2026-01-03T20:00Z',
      '2026-01-04T17:00Z',
      '2026-01-05T14:00Z',
      '2026-01-05T15:00Z',
    ]);
  });

  test('the chain back is the chain forth', () => {
    const [there, back] = chains(workdays, Date.UTC(2026, 0, 1), Date.UTC(2026, 0, 12));
    expect(there).toHaveLength(68);
    expect(back).toEqual(there);
  });
});

/** Four days around a change of the clocks, walked once. */
const walks = (
  [
    ['UTC', '2026-02-26T00:00Z'],
    ['Europe/Berlin', '2026-03-27T00:00Z'],
    ['Europe/Berlin', '2026-10-23T00:00Z'],
    ['Australia/Lord_Howe', '2026-04-02T00:00Z'],
    ['America/Santiago', '2026-09-04T00:00Z'],
  ] as const
).map(([zone, from]) => ({
  zone,
  fromMs: Date.parse(from) + 1.5 * dayMs,
  toMs: Date.parse(from) + 2.5 * dayMs,
  walked: walkMinutes(zone, Date.parse(from), Date.parse(from) + 4 * dayMs),
}));

const cronArb = fc
  .tuple(minuteArb, hourArb, dayArb, monthArb, weekdayArb)
  .map((fields) => fields.join(' '))
  .filter((cron) => !/^\S+ \S+ \S*3[01]\S* \S+ \*$/.test(cron));
const excludedArb = fc.record({
  crons: fc.array(cronArb, { maxLength: 3 }),
  days: fc.uniqueArray(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }),
});

test('any expression or interval less any exclusions fires at the minutes that walking all of them leaves', () => {
  const frequent = fc.tuple(minuteArb, hourArb).map((fields) => `${fields.join(' ')} * * *`);
  fc.assert(
    fc.property(
      fc.constantFrom(...walks),
      fc.oneof(frequent, cronArb, fc.integer({ min: 1, max: 700 })),
      excludedArb,
      ({ zone, walked, fromMs, toMs }, times, { crons, days }) => {
        const dates = days.map((day) => new Date(fromMs + (day - 1) * dayMs).toISOString().slice(0, 10));
        const exclude = { dates, cron: crons };
        const matchers = crons.map(cronMatcher);
        const isExcluded = (wallMs: number): boolean =>
          dates.includes(new Date(wallMs).toISOString().slice(0, 10)) ||
          matchers.some((matches) => matches(wallMs));
        const expected =
          typeof times === 'string'
            ? firesByWalking(times, walked, isExcluded)
            : walked
                .filter((w) => (w.instantMs - fromMs) % (times * minuteMs) === 0 && !isExcluded(w.wallMs))
                .map((w) => w.instantMs);
        const bounds = { startAt: new Date(fromMs).toISOString(), endAt: new Date(toMs - 1).toISOString() };
        const schedule: Schedule =
          typeof times === 'string'
            ? { cron: times, timezone: zone, exclude, ...bounds }
            : { every: `${times}m`, timezone: zone, exclude, ...bounds };
        const within = expected.filter((ms) => fromMs <= ms && ms < toMs).map(iso);
        expect(chains(schedule, fromMs, toMs)).toEqual([within, within]);
      },
    ),
    { numRuns: 50 },
  );
});
