/** How maintenance goes through its work: stretch by stretch, on a real server, over a store that the test plays. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { createMaintenanceActivities } from '../../../src/activities/maintenance.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { newId, type ConnectionId, type RunId } from '../../../src/domain/ids.ts';
import type { BrokenInvariant, Stretch } from '../../../src/domain/maintenance.ts';
import type { ConnectionAccess } from '../../../src/ports/connection.ts';
import type { Destination } from '../../../src/ports/destination.ts';
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
/** What the destinations do, and what was noted to be broken. */
const destinations = new Map<ConnectionId, (signal: AbortSignal) => Partial<Destination>>();
let noted: readonly BrokenInvariant[] = [];
afterEach(() => destinations.clear());

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
    listDestinations: async (after) => [...destinations.keys()].filter((id) => id > after),
    fetchAccess: async (id) => ({ connectionId: id as string }) as ConnectionAccess,
    listEnded: async () => [],
    listReceipts: async () => [],
    listStill: async () => [],
    listPlaceless: async () => [],
    noteEnd: async (_job, _tally, broken) => {
      noted = broken;
    },
  };
  const maintenance = createMaintenanceActivities({
    store: store as MaintenanceStore,
    index: { fetchPlaces: async () => [] },
    starter: { describe: async () => 'open' },
    openDestination: (access) =>
      ({
        wasUsed: async () => true,
        listOpenRuns: async () => [],
        dropOrphans: async () => ({ leases: 0, tables: 0 }),
        audit: async () => [],
        close: async () => {},
        ...destinations.get(access.connectionId as ConnectionId)!(access.signal!),
      }) as Partial<Destination> as Destination,
    destinationMs: 500,
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

const runJob = (job: 'orphans' | 'audit'): Promise<unknown> =>
  client.workflow.execute(maintenanceTypes[job], {
    workflowId: `${job}-${Math.random()}`,
    taskQueue: 'penstock',
    args: [{ settleMs: 1 }],
  });

test('a destination that lists open runs for ever is left after a while, or when it does not go on', async () => {
  stretchMs = 60_000;
  let pages = 0;
  let repeated = 0;
  destinations.set(newId('connection'), () => ({
    listOpenRuns: async () => [`run_${String((pages += 1)).padStart(9, '0')}` as RunId],
  }));
  destinations.set(newId('connection'), () => ({
    listOpenRuns: async () => {
      repeated += 1;
      return ['run_1' as RunId];
    },
  }));
  expect(await runJob('orphans')).toMatchObject({ destinations: 2, runs: 0 });
  expect({ pages, repeated }).toEqual({ pages: 50, repeated: 2 });
});

test('a destination that takes too long is cut off and counted, and the next one has its turn', async () => {
  stretchMs = 60_000;
  destinations.set(newId('connection'), (signal) => ({
    dropOrphans: () =>
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error))),
  }));
  destinations.set(newId('connection'), () => ({}));
  expect(await runJob('orphans')).toMatchObject({ unreachable: 1, destinations: 1 });
});

test('of what a destination says is broken a few are taken, and only what looks like an id', async () => {
  stretchMs = 60_000;
  const [liar, honest] = [newId('connection'), newId('connection')];
  const lies = Array.from({ length: 90 }, () => newId('run'));
  const lease = `${newId('load')}/1`;
  const saying = (objects: readonly string[]) => () => ({
    audit: async () => objects.map((object) => ({ invariant: 'lease_has_load' as const, object })),
  });
  destinations.set(liar, saying(['\0', 'x'.repeat(9_000), `${lies[0]}\n`, ...lies]));
  destinations.set(honest, saying([lease]));
  expect(await runJob('audit')).toEqual({ lease_has_load: 6 });
  expect(noted).toEqual([
    ...lies.slice(0, 5).map((object) => ({ invariant: 'lease_has_load', object, destination: liar })),
    { invariant: 'lease_has_load', object: lease, destination: honest },
  ]);
});
