/** Gauges of what somebody else knows (src/telemetry/gauges.ts): how often that one is asked. */
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { addGauges, type GaugeSource } from '../../src/telemetry/gauges.ts';

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

test('what has not answered is not asked again before it has, and its families have no samples meanwhile', async () => {
  const registry = new Registry();
  const asked: ((value: number) => void)[] = [];
  const read: GaugeSource['read'] = async () => {
    const value = await new Promise<number>((resolve) => asked.push(resolve));
    return { waiting: [{ labels: { queue: 'q' }, value }] };
  };
  addGauges(registry, { families: { waiting: { help: 'h', labels: ['queue'] } }, read });
  const valuesAfter = async (ms: number): Promise<number[]> => {
    const answer = registry.getMetricsAsJSON();
    await jest.advanceTimersByTimeAsync(ms);
    return (await answer).flatMap(({ values }) => values.map(({ value }) => value));
  };

  expect(await valuesAfter(20_000)).toEqual([]);
  expect(await valuesAfter(20_000)).toEqual([]);
  expect(asked).toHaveLength(1);

  asked[0]!(1);
  await jest.advanceTimersByTimeAsync(0);
  const next = valuesAfter(0);
  expect(asked).toHaveLength(2);
  asked[1]!(2);
  expect(await next).toEqual([2]);
  expect(await valuesAfter(4_000)).toEqual([2]);
  expect(asked).toHaveLength(2);
});

test('a family without labels has no sample either while its source fails: 0 would be an answer', async () => {
  const registry = new Registry();
  const families = { ready: { help: 'h', labels: [] } };
  let fails = true;
  const read: GaugeSource['read'] = async () => {
    if (fails) throw new Error('away');
    return { ready: [{ labels: {}, value: 3 }] };
  };
  addGauges(registry, { families, read });
  expect(await registry.metrics()).not.toMatch(/^ready /m);
  fails = false;
  await jest.advanceTimersByTimeAsync(10_000);
  expect(await registry.metrics()).toMatch(/^ready 3$/m);
});
