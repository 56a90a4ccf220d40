/**
 * The order of waiting runs: earliest virtual deadline first. The score is fixed when the run is queued, ages by itself
 * while others arrive, and bounds how far anybody can be overtaken: by slack(own) - slack(other), and no more.
 */

const minuteMs = 60_000;

/** How long a run may be overtaken by one of priority 1, in ms, for priority 1 (first) to 5 (last). */
export const defaultSlackMs: readonly number[] = [0, 1, 5, 30, 120].map((minutes) => minutes * minuteMs);

/** Of backfills. */
export const lastPriority = defaultSlackMs.length;

/** `strict`: all runs of a higher priority first, however long the others have waited. */
export const runOrders = ['deadline', 'strict'] as const;
export type RunOrder = (typeof runOrders)[number];

/** Longer than any run waits, and its fourfold leaves a score exact. */
const aeonMs = 1e13;
export const slackMsOf: Readonly<Record<RunOrder, readonly number[]>> = {
  deadline: defaultSlackMs,
  strict: defaultSlackMs.map((_, level) => level * aeonMs),
};

/** When a run became ready to wait for a place, in ms since the Unix epoch. */
export interface Readiness {
  readonly dueMs: number;
  readonly queuedAtMs: number;
  /** 1 first … 5 last */
  readonly priority: number;
}

/** The run's virtual deadline in ms since the Unix epoch, exact in a sorted set's 53 bits; the least one is next. */
export function readyScore(run: Readiness, slackMs: readonly number[] = defaultSlackMs): number {
  return Math.max(run.dueMs, run.queuedAtMs) + slackMs[run.priority - 1]!;
}
