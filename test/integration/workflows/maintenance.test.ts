/** How maintenance goes through its work: stretch by stretch, on a real server, over a store that the test plays. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { createMaintenanceActivities } from '../../../src/activities/maintenance.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import type { Stretch } from '../../../src/domain/maintenance.ts';
import type { MaintenanceStore } from '../../../src/ports/maintenance-store.ts';
import { createRunWorker, installRuntime } from '../../../src/workers/temporal/create-worker.ts';
import { maintenanceTypes } from '../../../src/workflows/names.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { scriptedActivities } from '../../support/run-engine.ts';
import { createNamespace } from '../../support/stack.ts';
import { workflowBundlePath } from '../../support/workflow-bundle.ts';

const { logger } = createKeptLogger();
let native: NativeConnection;
let client: Client;
let worker: Worker;
let polling: Promise<void>;

/** Where each call began, and what it does instead of forgetting runs. */
const calls: string[] = [];
let step: (after: string) => Stretch;
let stretchMs = 0;

beforeAll(async () => {
  installRuntime(logger);
  const { address, namespace } = await createNamespace();
  native = await NativeConnection.connect({ address });
  client = new Client({ connection: await Connection.connect({ address }), namespace });
  const store: Partial<MaintenanceStore> = {
    forgetLogs: async () => ({ tally: { events: 2 } }),
    forgetRuns: async (after) => {
      calls.push(after);
      return step(after);
    },
    listDestinations: async () => [],
    noteEnd: async () => {},
  };
  const maintenance = createMaintenanceActivities({
    store: store as MaintenanceStore,
    index: { fetchPlaces: async () => [] },
    starter: { describe: async () => 'open' },
    openDestination: () => {
      throw new Error('there is none');
    },
    drain: new AbortController().signal,
    logger,
    get stretchMs() {
      return stretchMs;
    },
  });
  const settings = { connection: native, namespace, taskQueue: 'penstock', identity: 'test', slots: 1 };
  worker = await createRunWorker(
    settings,
    { ...scriptedActivities().activities, ...maintenance },
    { codePath: await workflowBundlePath() },
  );
  polling = worker.run();
});
afterAll(async () => {
  worker?.shutdown();
  await polling;
  await native?.close();
  await client?.connection.close();
});

async function runRetention(): Promise<{ tally: unknown; activities: number }> {
  calls.length = 0;
  const handle = await client.workflow.start(maintenanceTypes.retention, {
    workflowId: `retention-${Math.random()}`,
    taskQueue: 'penstock',
  });
  const tally: unknown = await handle.result();
  const { events } = await handle.fetchHistory();
  const activities = events!.filter((event) => event.activityTaskScheduledEventAttributes).length;
  return { tally, activities };
}

/** Four steps, each of which forgets one. */
const fourSteps = (after: string): Stretch => ({
  tally: { runs: 1 },
  ...(after !== 'c' && { next: { '': 'a', a: 'b', b: 'c' }[after]! }),
});

test('a stretch whose time is over is followed by one that goes on there', async () => {
  stretchMs = 0;
  step = fourSteps;
  const { tally, activities } = await runRetention();
  expect(calls).toEqual(['', 'a', 'b', 'c']);
  expect(tally).toEqual({ events: 2, runs: 4 });
  expect(activities).toBe(3 + 4);
});

test('a stretch that has time takes several steps', async () => {
  stretchMs = 60_000;
  step = fourSteps;
  const { tally, activities } = await runRetention();
  expect(calls).toEqual(['', 'a', 'b', 'c']);
  expect(tally).toEqual({ events: 2, runs: 4 });
  expect(activities).toBe(3 + 1);
});

test('a stretch that breaks off is taken up where it was, not from its beginning', async () => {
  stretchMs = 60_000;
  let broken = false;
  step = (after) => {
    if (after === 'b' && !broken) {
      broken = true;
      throw new PenstockError('UNAVAILABLE', 'the control database does not answer');
    }
    return fourSteps(after);
  };
  await runRetention();
  expect(calls).toEqual(['', 'a', 'b', 'b', 'c']);
});

test('work without an end is left to the next time, and the history stays short', async () => {
  stretchMs = 0;
  step = () => ({ tally: { runs: 1 }, next: 'more' });
  const { tally } = await runRetention();
  expect(tally).toEqual({ events: 2, runs: 30 });
});
