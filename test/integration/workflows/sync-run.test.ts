/** What the workflow of a run decides, on a real Temporal, with scripted activities. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Context } from '@temporalio/activity';
import { WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { searchKeys } from '../../../src/workflows/search-attributes.ts';
import type { RunProgress } from '../../../src/workflows/run-progress.ts';
import type { SyncRunResult } from '../../../src/workflows/sync-run.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import {
  copyUntilTold,
  handleOf,
  oneBatch,
  openRunEngine,
  plannedRun,
  readyRun,
  scriptedActivities,
  startRun,
  type RunEngine,
} from '../../support/run-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';

let engine: RunEngine;
beforeAll(async () => {
  engine = await openRunEngine();
});
afterAll(() => engine.close());

const start = (run: RunToStart) => startRun(engine, run);

const phaseOf = (run: RunToStart) =>
  handleOf(engine, run)
    .query<RunProgress>('progress')
    .then(({ phase }) => phase);

const failureOf = async (result: Promise<unknown>): Promise<Error | undefined> => {
  const error = await result.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof WorkflowFailedError)) throw error;
  return error.cause;
};

/** Those that the server has given out, in order. */
async function activitiesOf(handle: WorkflowHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return events!.flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
}

describe('a run that goes well', () => {
  test('prepares, copies and finishes, and tells its counts', async () => {
    const { calls, activities } = scriptedActivities();
    await engine.startWorkers(activities);
    const handle = await start(plannedRun());
    expect(await handle.result()).toEqual({
      status: 'succeeded',
      rows: 1_000,
      batches: 1,
      bytes: 10_000,
    });
    expect(calls).toEqual(['prepareRun', 'copyPartition', 'finishRun']);
  });

  test('leaves a short history of small payloads without rows, SQL or keys', async () => {
    await engine.startWorkers(scriptedActivities().activities);
    const handle = await start(plannedRun());
    await handle.result();
    const { events } = await handle.fetchHistory();
    expect(events!.length).toBeLessThan(60);
    expect(JSON.stringify(events).length).toBeLessThan(20_000);
  });

  test('takes its first and its last step inside of workflow tasks, which spares the server two activities', async () => {
    await engine.startWorkers(scriptedActivities().activities);
    const handle = await start(plannedRun());
    await handle.result();
    expect(await activitiesOf(handle)).toEqual(['copyPartition']);
  });

  test('leaves a first step that takes its time to an activity, and the end of a large load from the start', async () => {
    const large = { rows: 50_001, batches: 2, bytes: 500_010 };
    let prepared = 0;
    const { calls, activities } = scriptedActivities({
      prepareRun: async () => {
        if (++prepared === 1) await Context.current().cancelled;
        return readyRun();
      },
      copyPartition: async () => oneBatch({ ...large, total: large }),
    });
    await engine.startWorkers(activities);
    const handle = await start(plannedRun());
    await handle.result();
    expect(calls).toEqual(['prepareRun', 'prepareRun', 'copyPartition', 'finishRun']);
    expect(await activitiesOf(handle)).toEqual(['prepareRun', 'copyPartition', 'finishRun']);
  });

  test('copies as many partitions at once as it may, and each until it is finished', async () => {
    let atOnce = 0;
    let most = 0;
    const begun: number[] = [];
    const { activities } = scriptedActivities({
      prepareRun: async () => readyRun({ partitions: [1, 2, 3, 4, 5], parallel: 2 }),
      copyPartition: async ({ partition }) => {
        most = Math.max(most, ++atOnce);
        begun.push(partition);
        if (begun.length < 2) await waitUntil('a second copy begins', () => begun.length === 2);
        atOnce--;
        return oneBatch();
      },
    });
    await engine.startWorkers(activities);
    const result = (await (await start(plannedRun())).result()) as SyncRunResult;
    expect(new Set(begun)).toEqual(new Set([1, 2, 3, 4, 5]));
    expect(begun).toHaveLength(5);
    expect(most).toBe(2);
    expect(result.status).toBe('succeeded');
  });

  test('finishes the load of an earlier run first, then prepares its own', async () => {
    const loads: string[] = [];
    const { calls, activities } = scriptedActivities({
      prepareRun: async () =>
        readyRun({ loadId: `lod_${calls.filter((name) => name === 'prepareRun').length}` }),
      finishRun: async ({ loadId }) => {
        loads.push(loadId);
        const outcome = loads.length === 1 ? 'another' : 'succeeded';
        return { outcome, rows: 1_000, batches: 1, bytes: 10_000 };
      },
    });
    await engine.startWorkers(activities);
    const result = (await (await start(plannedRun())).result()) as SyncRunResult;
    expect(loads).toEqual(['lod_1', 'lod_2']);
    expect(result.rows).toBe(2_000);
  });

  test('calls again what yielded, with a call number that rises', async () => {
    const numbers: number[] = [];
    const { activities } = scriptedActivities({
      copyPartition: async ({ call }) => {
        numbers.push(call);
        const total = { rows: 1_000 * call, batches: call, bytes: 10_000 * call };
        return oneBatch({ outcome: call < 4 ? 'yielded' : 'finished', total });
      },
    });
    await engine.startWorkers(activities);
    await (await start(plannedRun())).result();
    expect(numbers).toEqual([1, 2, 3, 4]);
  });
});

describe('a pause', () => {
  test('waits until the batch in hand is committed, gives the places back, and a resume goes on', async () => {
    const script = { pausing: true };
    const { calls, activities } = scriptedActivities({
      copyPartition: () => (script.pausing ? copyUntilTold() : Promise.resolve(oneBatch())),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it copies', () => calls.includes('copyPartition'));
    expect(await engine.starter.pause(run.workflowId)).toBe('asked');
    await waitUntil('it is paused', async () => (await phaseOf(run)) === 'paused');
    const { typedSearchAttributes } = await handle.describe();
    expect(typedSearchAttributes.get(searchKeys.runState)).toBe('paused');
    script.pausing = false;
    expect(await engine.starter.resume(run.workflowId)).toBe('asked');
    expect(((await handle.result()) as SyncRunResult).status).toBe('succeeded');
    expect(calls).toEqual([
      'prepareRun',
      'copyPartition',
      'pauseRun',
      'prepareRun',
      'copyPartition',
      'finishRun',
    ]);
  });

  test('holds nothing when the row was resumed meanwhile', async () => {
    const script = { pausing: true };
    const { calls, activities } = scriptedActivities({
      copyPartition: () => (script.pausing ? copyUntilTold() : Promise.resolve(oneBatch())),
      pauseRun: async () => {
        script.pausing = false;
        return { status: 'running' };
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it copies', () => calls.includes('copyPartition'));
    await engine.starter.pause(run.workflowId);
    expect(((await handle.result()) as SyncRunResult).status).toBe('succeeded');
  });

  test('found in the row by prepare holds the run until it is resumed', async () => {
    const script = { paused: true };
    const { calls, activities } = scriptedActivities({
      prepareRun: async () => (script.paused ? { ready: false, status: 'paused' } : readyRun()),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it is paused', async () => (await phaseOf(run)) === 'paused');
    script.paused = false;
    await engine.starter.resume(run.workflowId);
    await handle.result();
    expect(calls).toEqual(['prepareRun', 'pauseRun', 'prepareRun', 'copyPartition', 'finishRun']);
  });
});

describe('a cancellation', () => {
  test('closes the run only after its activities have ended and both databases know', async () => {
    const order: string[] = [];
    const { calls, activities } = scriptedActivities({
      copyPartition: async () => {
        const outcome = await copyUntilTold();
        order.push('committed');
        return outcome;
      },
      cancelRun: async () => {
        order.push('recorded');
        return { status: 'cancelled' };
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it copies', () => calls.includes('copyPartition'));
    expect(await engine.starter.cancel(run.workflowId)).toBe('asked');
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(order).toEqual(['committed', 'recorded']);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  });

  test('that finds the load done leaves the run succeeded', async () => {
    const { calls, activities } = scriptedActivities({
      copyPartition: copyUntilTold,
      cancelRun: async () => ({ status: 'succeeded' }),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it copies', () => calls.includes('copyPartition'));
    await engine.starter.cancel(run.workflowId);
    expect(((await handle.result()) as SyncRunResult).status).toBe('succeeded');
  });

  test('reaches a run that is paused', async () => {
    const { activities } = scriptedActivities({
      prepareRun: async () => ({ ready: false, status: 'paused' }),
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it is paused', async () => (await phaseOf(run)) === 'paused');
    await engine.starter.cancel(run.workflowId);
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
  });

  test('is recorded again and again until the destination knows', async () => {
    const script = { tries: 0 };
    const { calls, activities } = scriptedActivities({
      copyPartition: copyUntilTold,
      cancelRun: async () => {
        if (++script.tries < 3)
          throw ApplicationFailure.retryable('the destination is away', 'DESTINATION_UNREACHABLE');
        return { status: 'cancelled' };
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('it copies', () => calls.includes('copyPartition'));
    await engine.starter.cancel(run.workflowId);
    await failureOf(handle.result());
    expect(script.tries).toBe(3);
  });

  test('found in the row by prepare ends the run', async () => {
    const { calls, activities } = scriptedActivities({
      prepareRun: async () => ({ ready: false, status: 'cancelling' }),
    });
    await engine.startWorkers(activities);
    const result = (await (await start(plannedRun())).result()) as SyncRunResult;
    expect(result.status).toBe('cancelled');
    expect(calls).toEqual(['prepareRun', 'cancelRun']);
  });

  test('comes by itself when the run has worked for longer than it may', async () => {
    const reasons: (string | undefined)[] = [];
    const { activities } = scriptedActivities({
      prepareRun: async () => readyRun({ maxDurationMs: 50 }),
      copyPartition: copyUntilTold,
      cancelRun: async ({ reason }) => {
        reasons.push(reason);
        return { status: 'cancelled' };
      },
    });
    await engine.startWorkers(activities);
    const result = (await (await start(plannedRun())).result()) as SyncRunResult;
    expect(result.status).toBe('cancelled');
    expect(reasons).toEqual(['max_duration']);
  });
});

describe('a failure', () => {
  test('that somebody has to mend ends the run at once, with the code as type and the cure', async () => {
    const failed: unknown[] = [];
    const { calls, activities } = scriptedActivities({
      copyPartition: () =>
        Promise.reject(ApplicationFailure.nonRetryable('column x is missing.', 'TARGET_MISMATCH')),
      failRun: async (input) => {
        failed.push(input);
        return { status: 'failed' };
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const cause = (await failureOf((await start(run)).result())) as ApplicationFailure;
    expect(cause.type).toBe('TARGET_MISMATCH');
    expect(cause.message).toBe('column x is missing. Change the query or the table as the message says.');
    expect(failed).toEqual([
      {
        runId: run.runId,
        failure: { code: 'TARGET_MISMATCH', message: 'column x is missing.' },
        mayHaveWriters: true,
      },
    ]);
    expect(calls).toEqual(['prepareRun', 'copyPartition', 'failRun']);
    const { typedSearchAttributes } = await handleOf(engine, run).describe();
    expect(typedSearchAttributes.get(searchKeys.errorClass)).toBe('TARGET_MISMATCH');
    expect(typedSearchAttributes.get(searchKeys.runState)).toBe('failed');
  });

  test('before anything was copied says that there are no writers', async () => {
    const failed: boolean[] = [];
    const { activities } = scriptedActivities({
      prepareRun: () => Promise.reject(ApplicationFailure.nonRetryable('no', 'DESTINATION_AUTH')),
      failRun: async ({ mayHaveWriters }) => {
        failed.push(mayHaveWriters);
        return { status: 'failed' };
      },
    });
    await engine.startWorkers(activities);
    await failureOf((await start(plannedRun())).result());
    expect(failed).toEqual([false]);
  });

  test('that passes by itself is tried again after a back-off that is shown', async () => {
    const script = { calls: 0 };
    let goOn = (): void => {};
    const isShown = new Promise<void>((resolve) => (goOn = resolve));
    const { activities } = scriptedActivities({
      copyPartition: async () => {
        if (++script.calls < 3) {
          const failure = { code: 'SOURCE_UNREACHABLE', message: 'refused' } as const;
          return { outcome: 'yielded', rows: 0, batches: 0, bytes: 0, failure };
        }
        await isShown;
        return oneBatch();
      },
    });
    await engine.startWorkers(activities);
    const run = plannedRun();
    const handle = await start(run);
    await waitUntil('the failure is shown', async () => {
      const { failure } = await handle.query<RunProgress>('progress');
      return failure?.code === 'SOURCE_UNREACHABLE' && failure.times === 2;
    });
    goOn();
    expect(((await handle.result()) as SyncRunResult).status).toBe('succeeded');
  });

  test('of one partition stops the others before the run is made final', async () => {
    const order: string[] = [];
    const { activities } = scriptedActivities({
      prepareRun: async () => readyRun({ partitions: [1, 2], parallel: 2 }),
      copyPartition: async ({ partition }) => {
        if (partition === 1) {
          await waitUntil('the other one copies', () => order.includes('other begins'));
          throw ApplicationFailure.nonRetryable('no', 'VALUE_REFUSED');
        }
        order.push('other begins');
        const outcome = await copyUntilTold();
        order.push('other ends');
        return outcome;
      },
      failRun: async () => {
        order.push('recorded');
        return { status: 'failed' };
      },
    });
    await engine.startWorkers(activities);
    await failureOf((await start(plannedRun())).result());
    expect(order).toEqual(['other begins', 'other ends', 'recorded']);
  });
});

describe('an attempt that is not the only one', () => {
  test.each(['fenced', 'lost'] as const)('prepares again after %s', async (outcome) => {
    const script = { calls: 0 };
    const { calls, activities } = scriptedActivities({
      copyPartition: async () =>
        ++script.calls === 1 ? { outcome, rows: 0, batches: 0, bytes: 0 } : oneBatch(),
    });
    await engine.startWorkers(activities);
    await (await start(plannedRun())).result();
    expect(calls).toEqual(['prepareRun', 'copyPartition', 'prepareRun', 'copyPartition', 'finishRun']);
  });

  test('ends quietly when somebody else made the run final', async () => {
    const { calls, activities } = scriptedActivities({
      prepareRun: async () => ({ ready: false, status: 'failed' }),
    });
    await engine.startWorkers(activities);
    const result = (await (await start(plannedRun())).result()) as SyncRunResult;
    expect(result.status).toBe('failed');
    expect(calls).toEqual(['prepareRun']);
  });
});
