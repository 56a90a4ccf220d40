/** What docs/scheduling.md says of the order of waiting runs, said by the simulation. */
import { describe, expect, test } from '@jest/globals';
import { defaultSlackMs } from '../../src/domain/priority.ts';
import { orders, type Order } from '../simulation/orders.ts';
import { arrivals, serve, type SimulatedRun } from '../simulation/overload.ts';
import { isShown, renderSimulation, shownSeed } from '../simulation/render.ts';

const orderOf = (name: string): Order => orders.find((order) => order.name === name)!;
const simulate = (name: string, seed = shownSeed): SimulatedRun[] => serve(arrivals(seed), orderOf(name));

/** Whether a run was served before one that had come earlier, by more than the slack between their priorities. */
function isAnyOvertaken(started: readonly SimulatedRun[]): boolean {
  /** Of each priority, when the first came of those that are served later. */
  const firstCome = defaultSlackMs.map(() => Infinity);
  return started.toReversed().some(({ priority, queuedAt }) => {
    const worth = (other: number): number => (other - defaultSlackMs[priority - 1]!) / 1_000;
    const isOvertaking = defaultSlackMs.some(
      (slackMs, i) => queuedAt - firstCome[i]! > Math.max(0, worth(slackMs)),
    );
    firstCome[priority - 1] = Math.min(firstCome[priority - 1]!, queuedAt);
    return isOvertaking;
  });
}

describe('the order of waiting runs', () => {
  test('the page shows what the simulation prints', () => {
    expect(isShown(renderSimulation(shownSeed))).toBe(true);
  });

  test('by virtual deadline nobody is overtaken by more than the slack between two priorities', () => {
    expect(isAnyOvertaken(simulate('virtual deadline'))).toBe(false);
  });

  test.each(['strict', 'base × (1 / delay)^k'])('in the order `%s` somebody is', (name) => {
    expect(isAnyOvertaken(simulate(name))).toBe(true);
  });

  test('an order decides whose wait it is, and not how long all wait together', () => {
    const meanWait = (started: readonly SimulatedRun[]): number =>
      started.reduce((sum, { startedAt, queuedAt }) => sum + startedAt - queuedAt, 0) / started.length;
    const [first, ...others] = orders.map(({ name }) => meanWait(simulate(name)));
    for (const mean of others) expect(mean).toBeCloseTo(first!, 3);
  });

  test('a billion a priority is strict priority: both serve the same run every time', () => {
    expect(simulate('ts + 1e9 × priority')).toEqual(simulate('strict'));
  });
});
