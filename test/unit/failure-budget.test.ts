import { describe, expect, test } from '@jest/globals';
import { isSpent, noteFailure, retryDelayMs, type Failing } from '../../src/domain/failure-budget.ts';

const failure = { code: 'SOURCE_UNREACHABLE', message: 'refused' } as const;
const failAt = (before: Failing | undefined, nowMs: number, progressed = false): Failing =>
  noteFailure(before, failure, { nowMs, progressed });

describe('the failure budget', () => {
  test('waits 1 s, then twice as long after each failure in a row, at most 5 min', () => {
    let failing: Failing | undefined;
    const delays: number[] = [];
    for (let n = 0; n < 12; n++) {
      failing = failAt(failing, n);
      delays.push(retryDelayMs(failing) / 1_000);
    }
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
  });

  test('is counted from the first failure without progress, and spent after its time', () => {
    const failing = failAt(failAt(undefined, 1_000), 5_000);
    expect(isSpent(failing, 1_000 + 59_999, 60_000)).toBe(false);
    expect(isSpent(failing, 1_000 + 60_000, 60_000)).toBe(true);
  });

  test('starts again after progress', () => {
    const failing = failAt(failAt(failAt(undefined, 0), 50_000), 59_000, true);
    expect(failing).toMatchObject({ sinceMs: 59_000, times: 1 });
    expect(isSpent(failing, 60_000, 60_000)).toBe(false);
  });

  test('never waits for ever, however often something failed', () => {
    expect(retryDelayMs({ sinceMs: 0, atMs: 0, times: 1e9, last: failure })).toBe(300_000);
  });
});
