/** Long runs go on in a fresh execution; on a server that suggests it early. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { searchKeys } from '../../../src/workflows/search-attributes.ts';
import {
  copyUntilTold,
  detailsOf,
  oneBatch,
  openRunEngine,
  plannedRun,
  publicUrl,
  scriptedActivities,
  startRun,
  type RunEngine,
} from '../../support/run-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';

let stack: Stack<'temporal'>;
let engine: RunEngine;

beforeAll(async () => {
  stack = await startStack({
    dataDir: await mkdtemp(join(tmpdir(), 'penstock-can-')),
    log: () => {},
    servers: ['temporal'],
    temporal: { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': 40 } },
  });
  engine = await openRunEngine(stack.temporal.address);
});
afterAll(async () => {
  await engine?.close();
  await stack?.stop({ discard: true });
});

describe('a run whose history is long', () => {
  test('goes on in another execution with its call numbers, counts, link and search attributes', async () => {
    const numbers: number[] = [];
    const { calls, activities } = scriptedActivities({
      copyPartition: async ({ call }) => {
        numbers.push(call);
        const total = { rows: 1_000 * call, batches: call, bytes: 10_000 * call };
        return oneBatch({ outcome: call < 20 ? 'yielded' : 'finished', total });
      },
      finishRun: async () => ({ outcome: 'succeeded', rows: 20_000, batches: 20, bytes: 200_000 }),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await startRun(engine, run);
    expect(await handle.result()).toMatchObject({ status: 'succeeded', rows: 20_000 });
    expect(numbers).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(calls.filter((name) => name === 'prepareRun').length).toBeGreaterThan(2);
    expect(await detailsOf(handle)).toContain(`(${publicUrl}/v1/runs/${run.runId})`);
    const { typedSearchAttributes, historyLength } = await handle.describe();
    expect(typedSearchAttributes.get(searchKeys.tenant)).toBe('acme');
    expect(typedSearchAttributes.get(searchKeys.runState)).toBe('succeeded');
    expect(historyLength).toBeLessThan(60);
  });

  test('is paused, resumed and cancelled like any other', async () => {
    const { calls, activities } = scriptedActivities({
      copyPartition: async ({ call }) => (call < 8 ? oneBatch({ outcome: 'yielded' }) : copyUntilTold()),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await startRun(engine, run);
    const copies = () => calls.filter((name) => name === 'copyPartition').length;
    await waitUntil('it copies in a later execution', () => copies() === 8);
    expect(await engine.starter.pause(run.workflowId)).toBe('asked');
    await waitUntil('it is paused', async () => {
      const { phase } = await handle.query<{ phase: string }>('progress');
      return phase === 'paused';
    });
    expect(await engine.starter.resume(run.workflowId)).toBe('asked');
    await waitUntil('it copies again', () => copies() === 9);
    expect(await engine.starter.cancel(run.workflowId)).toBe('asked');
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  });
});
