/** How maintenance goes through its work: stretch by stretch, on a real server, over a store that the test plays. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { createMaintenanceActivities } from '../../../src/activities/maintenance.ts';
import { unknownRun } from '../../../src/destinations/postgres/close-run.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { newId, type ConnectionId, type RunId } from '../../../src/domain/ids.ts';
import type { BrokenInvariant, MaintenanceJob, Stretch } from '../../../src/domain/maintenance.ts';
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
/** Runs that the control database knows to be over. */
const ended = new Set<RunId>();
/** Tells the process that is at work to end; whoever comes next has one of its own. */
let drain = new AbortController();
beforeEach(() => {
  stretchMs = 60_000;
  destinations.clear();
  step = () => ({ tally: {} });
});

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
    listEnded: async (open) => open.filter((id) => ended.has(id)),
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
    starter: { describe: async () => ({ state: 'open', pausedSteps: [] }) },
    openDestination: (access) =>
      ({
        wasUsed: async () => true,
        cleanUp: async () => 0,
        listOpenRuns: async () => [],
        dropOrphans: async () => ({ leases: 0, tables: 0 }),
        audit: async () => [],
        close: async () => {},
        ...destinations.get(access.connectionId as ConnectionId)!(access.signal!),
      }) as Partial<Destination> as Destination,
    destinationMs: 500,
    get drain() {
      return drain.signal;
    },
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

async function runJob(job: MaintenanceJob): Promise<{ tally: unknown; activities: number }> {
  calls.length = 0;
  const handle = await client.workflow.start(maintenanceTypes[job], {
    workflowId: randomUUID(),
    taskQueue: 'penstock',
    args: [{ settleMs: 1 }],
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

test.each([
  ['whose time is over is followed by one that goes on there', 0, 4],
  ['that has time takes several steps', 60_000, 1],
])('a stretch %s', async (_, ms, stretches) => {
  stretchMs = ms;
  step = fourSteps;
  const { tally, activities } = await runJob('retention');
  expect(calls).toEqual(['', 'a', 'b', 'c']);
  expect(tally).toEqual({ events: 2, runs: 4 });
  // Beside logs, loads and the end, which take one each.
  expect(activities).toBe(3 + stretches);
});

test('a stretch that breaks off is taken up where it was, not from its beginning', async () => {
  let broken = false;
  step = (after) => {
    if (after === 'b' && !broken) {
      broken = true;
      throw new PenstockError('UNAVAILABLE', 'the control database does not answer');
    }
    return fourSteps(after);
  };
  await runJob('retention');
  expect(calls).toEqual(['', 'a', 'b', 'b', 'c']);
});

test('work without an end is left to the next time, and the history stays short', async () => {
  stretchMs = 0;
  step = () => ({ tally: { runs: 1 }, next: 'more' });
  expect((await runJob('retention')).tally).toEqual({ events: 2, runs: 30 });
});

test('a destination that finds something to forget for ever is left after a while', async () => {
  destinations.set(newId('connection'), () => ({ cleanUp: async () => 2 }));
  expect((await runJob('retention')).tally).toMatchObject({ destinations: 1, forgotten: 2 * 50 });
});

test('a destination that lists open runs for ever is left after a while, or when it does not go on', async () => {
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
  expect((await runJob('orphans')).tally).toMatchObject({ destinations: 2, runs: 0 });
  expect({ pages, repeated }).toEqual({ pages: 50, repeated: 2 });
});

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve());
  });

test.each<[string, MaintenanceJob, (signal: AbortSignal) => Partial<Destination>]>([
  [
    'hangs until its connection ends',
    'orphans',
    (signal) => ({
      dropOrphans: () => untilAborted(signal).then(() => Promise.reject(signal.reason as Error)),
    }),
  ],
  ['forgets on and on', 'retention', (signal) => ({ cleanUp: () => untilAborted(signal).then(() => 1) })],
  [
    'lists on and on',
    'orphans',
    (signal) => {
      let pages = 0;
      return { listOpenRuns: () => untilAborted(signal).then(() => [`run_${10 + (pages += 1)}` as RunId]) };
    },
  ],
])('a destination that %s for too long is counted, and the next one has its turn', async (_, job, behave) => {
  destinations.set(newId('connection'), behave);
  destinations.set(newId('connection'), () => ({}));
  expect((await runJob(job)).tally).toMatchObject({ unreachable: 1, destinations: 1 });
});

test('a destination in which it takes too long to make one run final is left with the others as they are', async () => {
  const open = [newId('run'), newId('run')].toSorted();
  for (const id of open) ended.add(id);
  const closed: RunId[] = [];
  destinations.set(newId('connection'), (signal) => ({
    listOpenRuns: async () => open,
    closeRun: async (id) => {
      closed.push(id);
      await untilAborted(signal);
      return unknownRun();
    },
  }));
  expect((await runJob('orphans')).tally).toEqual({ unreachable: 1 });
  expect(closed).toEqual([open[0]]);
});

test('a process that is told to end leaves the destination in hand to whoever goes on', async () => {
  let tries = 0;
  destinations.set(newId('connection'), () => ({
    dropOrphans: async () => {
      tries += 1;
      if (tries > 1) return { leases: 0, tables: 3 };
      drain.abort();
      drain = new AbortController();
      throw new PenstockError('DESTINATION_UNREACHABLE', 'the connection was ended');
    },
  }));
  expect((await runJob('orphans')).tally).toEqual({ destinations: 1, runs: 0, leases: 0, tables: 3 });
  expect(tries).toBe(2);
});

const saying = (objects: readonly string[]) => () => ({
  audit: async () => objects.map((object) => ({ invariant: 'lease_has_load' as const, object })),
});

test('of what a destination says is broken a few are taken, and only what looks like an id', async () => {
  const [liar, honest] = [newId('connection'), newId('connection')];
  const lies = Array.from({ length: 90 }, () => newId('run'));
  const lease = `${newId('load')}/1`;
  destinations.set(liar, saying(['\0', 'x'.repeat(9_000), `${lies[0]}\n`, ...lies]));
  destinations.set(honest, saying([lease]));
  expect((await runJob('audit')).tally).toEqual({ lease_has_load: 6 });
  expect(noted).toEqual([
    ...lies.slice(0, 5).map((object) => ({ invariant: 'lease_has_load', object, destination: liar })),
    { invariant: 'lease_has_load', object: lease, destination: honest },
  ]);
});

test('of all destinations together fifty are taken', async () => {
  for (let n = 0; n < 11; n += 1)
    destinations.set(newId('connection'), saying(Array.from({ length: 5 }, () => newId('run'))));
  expect((await runJob('audit')).tally).toEqual({ lease_has_load: 50 });
  expect(noted).toHaveLength(50);
});

test('what two destinations say of one object must still be so where it was said', async () => {
  const [mended, broken] = [newId('connection'), newId('connection')];
  const lease = `${newId('load')}/1`;
  let looks = 0;
  destinations.set(mended, () => (looks++ === 0 ? saying([lease])() : {}));
  destinations.set(broken, saying([lease]));
  await runJob('audit');
  expect(noted).toEqual([{ invariant: 'lease_has_load', object: lease, destination: broken }]);
});
