/** How long a run goes on failing, on a real Temporal; with a budget of a second instead of an hour. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/common';
import type { CopyOutcome } from '../../../src/activities/contract.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import type { SyncRunResult } from '../../../src/workflows/sync-run.ts';
import {
  handleOf,
  oneBatch,
  openRunEngine,
  plannedRun,
  scriptedActivities,
  type RunEngine,
  type ScriptedActivities,
} from '../../support/run-engine.ts';
import { workflowBundlePath } from '../../support/workflow-bundle.ts';

let engine: RunEngine;
beforeAll(async () => {
  engine = await openRunEngine();
  const codePath = await workflowBundlePath({
    file: 'activity-options.ts',
    changes: [
      ['failureBudgetMs = 3_600_000', 'failureBudgetMs = 1_000'],
      // On a busy machine its first call may take a while to begin; a second one would come too late.
      ['scheduleToCloseTimeout: failureBudgetMs', 'scheduleToCloseTimeout: 30_000'],
      ['initialInterval: 2 * afterLocalMs', 'initialInterval: 60_000'],
    ],
  });
  await engine.startWorkers(scriptedActivities().activities, { codePath });
});
afterAll(() => engine?.close());

async function play(changes: Partial<ScriptedActivities>): Promise<{ run: RunToStart; calls: string[] }> {
  const { calls, activities } = scriptedActivities(changes);
  await engine.startWorkers(activities);
  const run = plannedRun();
  await engine.starter.start(run);
  return { run, calls };
}

const failing = (batches: number): CopyOutcome => ({
  outcome: 'yielded',
  rows: 0,
  batches: 0,
  bytes: 0,
  failure: { code: 'SOURCE_UNREACHABLE', message: 'connection refused' },
  ...(batches > 0 && { total: { rows: 100 * batches, batches, bytes: 1_000 * batches } }),
});

/** Why the run failed, as everybody may read it. */
const failureOf = (run: RunToStart) =>
  handleOf(engine, run)
    .result()
    .then(
      () => undefined,
      (error: { cause: ApplicationFailure }) => ({ type: error.cause.type, message: error.cause.message }),
    );

describe('a run that fails for longer than its budget', () => {
  test('ends when it makes no progress, and says by what it was stopped', async () => {
    const { run, calls } = await play({ copyPartition: async () => failing(0) });
    expect(await failureOf(run)).toEqual({
      type: 'BUDGET_SPENT',
      message: expect.stringContaining('SOURCE_UNREACHABLE: connection refused. Mend the cause') as unknown,
    });
    expect(calls.filter((name) => name === 'copyPartition')).toHaveLength(2);
    expect(calls.at(-1)).toBe('failRun');
  });

  test('goes on while every attempt gets further than the ones before', async () => {
    let calls = 0;
    const { run } = await play({
      copyPartition: async () => (++calls <= 3 ? failing(calls) : oneBatch()),
    });
    expect((await handleOf(engine, run).result()) as SyncRunResult).toMatchObject({ status: 'succeeded' });
    expect(calls).toBe(4);
  });

  test('ends when it gets no further than it was before, though each attempt commits something', async () => {
    const { run } = await play({ copyPartition: async () => ({ ...failing(1), rows: 100, batches: 1 }) });
    expect(await failureOf(run)).toMatchObject({ type: 'BUDGET_SPENT' });
  });

  test('before it has copied anything ends, too', async () => {
    const { run, calls } = await play({
      prepareRun: () => Promise.reject(ApplicationFailure.retryable('refused', 'DESTINATION_UNREACHABLE')),
    });
    expect(await failureOf(run)).toMatchObject({
      type: 'BUDGET_SPENT',
      message: expect.stringContaining('DESTINATION_UNREACHABLE: refused') as unknown,
    });
    expect(calls.at(-1)).toBe('failRun');
  });

  test('because another attempt always has the load ends', async () => {
    const { run } = await play({
      copyPartition: async () => ({ outcome: 'fenced', rows: 0, batches: 0, bytes: 0 }),
    });
    expect(await failureOf(run)).toMatchObject({
      type: 'BUDGET_SPENT',
      message: expect.stringContaining('FENCED') as unknown,
    });
  });
});
