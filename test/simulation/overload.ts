/**
 * Ten places, runs of a minute, and for two hours half as many again as there is room for; then three quarters, until
 * nobody waits. Only the order of the waiting differs, so what one run wins another loses: the mean wait is always the
 * same.
 */
import { rollDice } from '../support/dice.ts';
import type { Order, WaitingRun } from './orders.ts';

const places = 10;
const runSeconds = 60;
const overloadSeconds = 2 * 3_600;
const load = { over: 1.5, after: 0.75 };
const seconds = 9 * 3_600;
const beginsAt = Date.UTC(2030, 0, 1) / 1_000;
/** Of a hundred runs, how many have priority 1 … 5. */
const shares = [10, 20, 40, 20, 10];

export interface SimulatedRun extends WaitingRun {
  readonly startedAt: number;
}

/** Runs as they come, at random and the same for each seed. */
export function arrivals(seed: number): WaitingRun[] {
  const dice = rollDice(seed);
  const deal = shares.flatMap((share, i) => Array.from({ length: share }, () => i + 1));
  const runs: WaitingRun[] = [];
  for (let at = 0; at < seconds;) {
    const perSecond = ((at < overloadSeconds ? load.over : load.after) * places) / runSeconds;
    at += -Math.log(dice.between(1, 1_000_000) / 1_000_000) / perSecond;
    runs.push({ priority: dice.oneOf(deal), queuedAt: beginsAt + at });
  }
  return runs;
}

/** Gives places to the runs in an order, one whenever one is free. In the order of their starts. */
export function serve(runs: readonly WaitingRun[], order: Order): SimulatedRun[] {
  const freeAt = Array.from({ length: places }, () => beginsAt);
  const waiting: WaitingRun[] = [];
  const started: SimulatedRun[] = [];
  let next = 0;
  while (started.length < runs.length) {
    const place = freeAt.indexOf(Math.min(...freeAt));
    const firstCome = waiting.length > 0 ? -Infinity : runs[next]!.queuedAt;
    const now = Math.max(freeAt[place]!, firstCome);
    while (next < runs.length && runs[next]!.queuedAt <= now) waiting.push(runs[next++]!);
    const run = takeLeast(waiting, (each) => order.score(each, now));
    started.push({ ...run, startedAt: now });
    freeAt[place] = now + runSeconds;
  }
  return started;
}

function takeLeast(runs: WaitingRun[], score: (run: WaitingRun) => number): WaitingRun {
  const scores = runs.map(score);
  return runs.splice(scores.indexOf(Math.min(...scores)), 1)[0]!;
}

export interface Waits {
  readonly priority: number;
  readonly runs: number;
  /** In minutes. */
  readonly median: number;
  readonly p99: number;
  readonly longest: number;
}

/** How long the runs of each priority have waited that came while there were too many. */
export function waitsOf(started: readonly SimulatedRun[]): Waits[] {
  return shares.map((_, i) => {
    const minutes = started
      .filter(({ priority, queuedAt }) => priority === i + 1 && queuedAt < beginsAt + overloadSeconds)
      .map(({ queuedAt, startedAt }) => (startedAt - queuedAt) / 60)
      .sort((a, b) => a - b);
    const quantile = (q: number): number => minutes[Math.ceil(q * minutes.length) - 1]!;
    return {
      priority: i + 1,
      runs: minutes.length,
      median: quantile(0.5),
      p99: quantile(0.99),
      longest: quantile(1),
    };
  });
}
