/** Ways to order runs that wait for a place: ours, and those that are found in articles about sorted sets. */
import { readyScore } from '../../src/domain/priority.ts';

export interface WaitingRun {
  /** 1 first … 5 last */
  readonly priority: number;
  /** When it came, in Unix seconds. */
  readonly queuedAt: number;
}

export interface Order {
  readonly name: string;
  /** The waiting run with the least score is next. */
  readonly score: (run: WaitingRun, now: number) => number;
}

/** What a priority weighs in the power law: 5 for the first, 1 for the last. */
const baseOf = (priority: number): number => 6 - priority;
const exponent = 1;

export const orders: readonly Order[] = [
  { name: 'first come, first served', score: ({ queuedAt }) => queuedAt },
  { name: 'ts + 1e9 × priority', score: ({ priority, queuedAt }) => queuedAt + 1e9 * priority },
  {
    name: 'base × (1 / delay)^k',
    // The greatest is next, so the sign turns; nobody has waited for less than a second.
    score: ({ priority, queuedAt }, now) => -baseOf(priority) * (1 / Math.max(1, now - queuedAt)) ** exponent,
  },
  { name: 'strict', score: ({ priority, queuedAt }) => priority * Number.MAX_SAFE_INTEGER + queuedAt },
  { name: 'virtual deadline', score: ({ priority, queuedAt }) => deadline(priority, queuedAt) },
];

function deadline(priority: number, queuedAt: number): number {
  const queuedAtMs = queuedAt * 1_000;
  return readyScore({ dueMs: queuedAtMs, queuedAtMs, priority });
}
