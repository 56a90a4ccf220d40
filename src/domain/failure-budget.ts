/** The failure budget: how long something may go on failing without progress, and how long to wait before each new try. */
import type { Failure } from './describe-error.ts';

/** Since when it fails without progress, how often it did, and the last cause. */
export interface Failing {
  sinceMs: number;
  /** When it failed last. */
  atMs: number;
  times: number;
  last: Failure;
}

/** One more failure; progress made since the last one starts the count again. */
export function noteFailure(
  before: Failing | undefined,
  last: Failure,
  at: { nowMs: number; progressed: boolean },
): Failing {
  return before === undefined || at.progressed
    ? { sinceMs: at.nowMs, atMs: at.nowMs, times: 1, last }
    : { sinceMs: before.sinceMs, atMs: at.nowMs, times: before.times + 1, last };
}

/** Whether it has failed for longer than the budget allows. */
export const isSpent = (failing: Failing, nowMs: number, budgetMs: number): boolean =>
  nowMs - failing.sinceMs >= budgetMs;

/** 1 s, doubled with every failure in a row, at most 5 min. */
export const retryDelayMs = (failing: Failing): number =>
  Math.min(1_000 * 2 ** Math.min(failing.times - 1, 20), 300_000);
