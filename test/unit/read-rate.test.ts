/**
 * Dividing a read rate, and reading by the shares: whatever comes late, gets lost or stands still, all attempts together never
 * pass on more than the limit, and one second of it besides.
 */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { describePace } from '../../src/copy/describe-plan.ts';
import { ReadPace } from '../../src/copy/read-pace.ts';
import { shareLastsMs, shareOf, type ReadRate } from '../../src/domain/read-rate.ts';

const rowsOnly = (rowsPerSecond: number): ReadRate => ({ rowsPerSecond, bytesPerSecond: null });
const held = (attempts: number, rowsPerSecond: number) => ({ attempts, rowsPerSecond, bytesPerSecond: 0 });

describe('a share', () => {
  test('is an equal part, or less: what the others have not given up yet is not given twice', () => {
    expect(shareOf(rowsOnly(90), held(0, 0))).toEqual(rowsOnly(90));
    expect(shareOf(rowsOnly(90), held(1, 90))).toEqual(rowsOnly(0));
    expect(shareOf(rowsOnly(90), held(1, 60))).toEqual(rowsOnly(30));
    expect(shareOf(rowsOnly(90), held(2, 0))).toEqual(rowsOnly(30));
    expect(shareOf(rowsOnly(90), held(1, 200))).toEqual(rowsOnly(0));
  });

  test('has of each kind its part, and any number where there is no limit', () => {
    const limit = { rowsPerSecond: null, bytesPerSecond: 8_000 };
    expect(shareOf(limit, { attempts: 3, rowsPerSecond: 7, bytesPerSecond: 0 })).toEqual({
      rowsPerSecond: null,
      bytesPerSecond: 2_000,
    });
  });
});

test('a plan tells how long it takes at the limit, where rows are limited and expected', () => {
  const limit = { rowsPerSecond: 1_000, bytesPerSecond: 4_096 };
  const told = 'The connection crm is read at 1,000 rows and 4,096 bytes a second, by all runs together.';
  const describe = (estimatedRows: number | null, of: ReadRate = limit) =>
    describePace({ connection: 'crm', limit: of }, { estimatedRows });
  expect(describe(150_000)).toBe(`${told} As many rows as are expected take 3 minutes or longer.`);
  expect(describe(50_000)).toBe(told);
  expect(describe(null)).toBe(told);
  expect(describe(1e9, { rowsPerSecond: null, bytesPerSecond: 4_096 })).toBe(
    'The connection crm is read at 4,096 bytes a second, by all runs together.',
  );
});

describe('a pace', () => {
  const paced = (share: ReadRate | null, atMs = 0): ReadPace => {
    const pace = new ReadPace();
    pace.renew(share, atMs, atMs);
    return pace;
  };
  const rows = (count: number) => ({ rows: count, bytes: 0 });

  test('lets anything pass while there is no limit', () => {
    expect(new ReadPace().take({ rows: 1e9, bytes: 1e12 }, 5)).toBe(0);
    expect(new ReadPace().part).toEqual({ rows: Infinity, bytes: Infinity });
  });

  test('lets nothing pass before it is covered, from the first row on', () => {
    const pace = paced(rowsOnly(100));
    expect(pace.take(rows(20), 0)).toBe(200);
    expect(pace.take(rows(20), 199)).toBeCloseTo(1);
    expect(pace.take(rows(20), 200)).toBe(0);
    expect(pace.take(rows(20), 200)).toBe(200);
  });

  test('waits for the slower of the two', () => {
    const pace = paced({ rowsPerSecond: 100, bytesPerSecond: 1_000 });
    expect(pace.take({ rows: 1, bytes: 500 }, 0)).toBe(500);
    expect(pace.take({ rows: 50, bytes: 10 }, 0)).toBe(500);
  });

  test('keeps a second’s worth, and more only for what needs more', () => {
    const pace = paced(rowsOnly(100));
    expect(pace.take(rows(101), 10_000)).toBe(10);
    expect(pace.take(rows(101), 10_010)).toBe(0);
    expect(pace.take(rows(100), 14_000)).toBe(0);
    expect(pace.take(rows(1), 14_000)).toBe(10);
  });

  test('asks for a quarter of a second’s worth at once, and for a row at least', () => {
    expect(paced({ rowsPerSecond: 1_000, bytesPerSecond: 4_096 }).part).toEqual({ rows: 250, bytes: 1_024 });
    expect(paced({ rowsPerSecond: 1, bytesPerSecond: null }).part).toEqual({ rows: 1, bytes: Infinity });
  });

  test('lets nothing pass once its share has lapsed, nor makes up for that when it is renewed', () => {
    const pace = paced(rowsOnly(100));
    expect(pace.take(rows(1), shareLastsMs)).toBe(0);
    expect(pace.take(rows(1), shareLastsMs + 1)).toBe(Infinity);
    pace.renew(rowsOnly(100), 60_000, 60_000);
    expect(pace.take(rows(99), 60_000)).toBe(0);
    expect(pace.take(rows(1), 60_000)).toBe(10);
  });

  test('counts a share from when it was asked for: who divides the limit counts from later on', () => {
    const pace = new ReadPace();
    pace.renew(rowsOnly(100), 0, 14_000);
    expect(pace.take(rows(1), 15_000)).toBe(0);
    expect(pace.take(rows(1), 15_001)).toBe(Infinity);
  });

  test('goes by another share at once, and without a limit again', () => {
    const pace = paced(rowsOnly(1));
    expect(pace.take(rows(10), 500)).toBe(9_500);
    expect(pace.take(rows(1_000), 500)).toBe(Infinity);
    pace.renew(rowsOnly(1_000), 500, 500);
    expect(pace.take(rows(1_000), 500)).toBeCloseTo(999.5);
    pace.renew(null, 500, 500);
    expect(pace.take(rows(1_000_000), 500)).toBe(0);
  });
});

/** What an attempt goes by, what the control database keeps of it, and an answer on its way. */
interface Attempt {
  pace: ReadPace;
  inUse: Given | null;
  kept: { share: number; heardMs: number } | null;
  answer: Given | null;
}
interface Given {
  share: number;
  askedAtMs: number;
}

const limit = 100;
const fresh = (): Attempt => ({ pace: new ReadPace(), inUse: null, kept: null, answer: null });

/** As src/storage/read-share.ts does it. */
function ask(attempts: readonly Attempt[], attempt: Attempt, nowMs: number): void {
  const others = attempts.filter(
    (other) => other !== attempt && other.kept && other.kept.heardMs > nowMs - shareLastsMs,
  );
  const theirs = others.reduce((sum, { kept }) => sum + kept!.share, 0);
  const share = shareOf(rowsOnly(limit), held(others.length, theirs)).rowsPerSecond!;
  attempt.kept = { share: Math.max(share, attempt.inUse?.share ?? 0), heardMs: nowMs };
  attempt.answer = { share, askedAtMs: nowMs };
}

function hear(attempt: Attempt, nowMs: number): void {
  if (!attempt.answer) return;
  attempt.pace.renew(rowsOnly(attempt.answer.share), attempt.answer.askedAtMs, nowMs);
  [attempt.inUse, attempt.answer] = [attempt.answer, null];
}

const step = fc.record({
  what: fc.constantFrom('ask', 'ask', 'hear', 'hear', 'lose', 'take', 'take', 'end'),
  who: fc.nat(2),
  afterMs: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(0, 10, 100, 300) },
    { weight: 1, arbitrary: fc.constantFrom(1_000, 14_999, 20_000) },
  ),
  rows: fc.constantFrom(1, 10, 50, 100),
});

test('whatever comes late or is lost, attempts together use at most the limit, and pass on a second of it more', () => {
  const story = fc.property(fc.array(step, { minLength: 40, maxLength: 80 }), (steps) => {
    const attempts = Array.from({ length: 3 }, fresh);
    const passed: { atMs: number; rows: number }[] = [];
    let nowMs = 1_000;
    for (const { what, who, afterMs, rows } of steps) {
      nowMs += afterMs;
      const attempt = attempts[who]!;
      if (what === 'ask' && !attempt.answer) ask(attempts, attempt, nowMs);
      if (what === 'hear') hear(attempt, nowMs);
      if (what === 'lose') attempt.answer = null;
      if (what === 'end') attempts[who] = fresh();
      if (what === 'take' && attempt.inUse && attempt.pace.take({ rows, bytes: 0 }, nowMs) === 0)
        passed.push({ atMs: nowMs, rows });
      const used = attempts.flatMap(({ inUse }) =>
        inUse && nowMs < inUse.askedAtMs + shareLastsMs ? inUse.share : [],
      );
      expect(used.reduce((sum, share) => sum + share, 0)).toBeLessThanOrEqual(limit + 1e-6);
      for (const [i, { atMs }] of passed.entries()) {
        const since = passed.slice(i).reduce((sum, part) => sum + part.rows, 0);
        expect(since).toBeLessThanOrEqual(limit * (1 + (nowMs - atMs) / 1_000) + 1e-6);
      }
    }
  });
  fc.assert(story, { numRuns: 200 });
});
