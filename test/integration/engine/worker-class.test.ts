/** Worker classes through the whole engine: who takes which steps of a run, told by the history and the attempts. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuardedProcess } from '../../../src/dev/guard.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { createRunExplainer } from '../../../src/storage/run-explainer.ts';
import { createRunStarter } from '../../../src/workers/temporal/run-starter.ts';
import { expectRunInOrder } from '../../support/expect-run-in-order.ts';
import { createScheduledRoom, type ScheduledRoom, type ScheduledRun } from '../../support/scheduled-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: ScheduledRoom;
let common: GuardedProcess;
let eu: GuardedProcess;
beforeAll(async () => {
  room = await createScheduledRoom({ places: 2 });
  await room.source.query(
    `create table numbered as select id, 'user ' || id as label from generate_series(1, 2000) id;
     alter table numbered add primary key (id); analyze numbered`,
  );
  for (const end of ['source', 'destination']) {
    const there = await room.store.connections.fetch(room.scope, end);
    const { password } = room;
    await room.store.connections.create(room.scope, {
      ...there,
      name: `eu-${end}`,
      kind: 'postgres',
      workerClass: 'eu',
      password,
    });
  }
  common = await room.startWorker();
});
afterAll(() => room?.close());

const addSync = (name: string, [source, destination]: readonly [string, string]) =>
  room.addSync({
    name,
    mode: 'upsert',
    key: ['id'],
    source: { connection: source, query: 'select * from numbered' },
    destination: { connection: destination, table: `synced.${name}` },
    limits: { batchRows: 200 },
  });

/** The processes that took the run's steps: its attempts by their rows, each activity by the history. */
async function workersOf({ runId, handle }: ScheduledRun): Promise<Record<string, string>> {
  const { items } = await room.store.runs.listAttempts(room.scope, runId, { limit: 10 });
  const { events } = await handle.fetchHistory();
  const scheduled = new Map(
    events!.map(({ eventId, activityTaskScheduledEventAttributes: it }) => [
      eventId?.toNumber(),
      it?.activityType?.name,
    ]),
  );
  const took = [
    ...items.map(({ worker }) => ['attempt', worker] as const),
    ...events!.flatMap(({ activityTaskStartedEventAttributes: it }) =>
      it ? [[scheduled.get(it.scheduledEventId?.toNumber())!, it.identity!] as const] : [],
    ),
  ];
  return Object.fromEntries(took.map(([what, identity]) => [what, identity.split('@')[0]!]));
}
/** All steps of a run that succeeds, by a worker of a class. */
const allBy = (pid: string) => ({ attempt: pid, prepareRun: pid, copyPartition: pid, finishRun: pid });
/** The same by the common worker, whose short steps are local activities. */
const commonly = () => ({ attempt: pidOf(common), copyPartition: pidOf(common) });
const explain = (runId: string) =>
  createRunExplainer({
    pool: room.control,
    index: { explainRun: () => Promise.reject(new PenstockError('UNAVAILABLE', 'no index')) },
    starter: createRunStarter({ client: room.client, taskQueue: 'penstock' }),
  }).explain(room.scope, runId);
const pidOf = ({ pid }: GuardedProcess): string => String(pid);

test('the runs of a class wait for a worker of it and say so, while others go on; then it alone takes their steps', async () => {
  await addSync('from_eu', ['eu-source', 'destination']);
  await addSync('to_eu', ['source', 'eu-destination']);
  await addSync('plain', ['source', 'destination']);
  const classed = [await room.trigger('from_eu'), await room.trigger('to_eu')];
  for (const { runId } of classed)
    await waitUntil('it says what it lacks', async () => {
      const { reason, workerClass } = await explain(runId);
      return reason === 'no_worker' && workerClass === 'eu';
    });
  // there are no more than two places, and they take none
  const plain = await room.trigger('plain');
  await expectRunInOrder(room, plain, 'succeeded');

  eu = await room.startWorker('all', { workerClass: 'eu' });
  for (const run of classed) {
    await expectRunInOrder(room, run, 'succeeded');
    expect(await workersOf(run)).toEqual(allBy(pidOf(eu)));
    expect(await explain(run.runId)).toMatchObject({ reason: null, workerClass: null });
  }
  const again = await room.trigger('plain');
  await expectRunInOrder(room, again, 'succeeded');
  for (const run of [plain, again]) expect(await workersOf(run)).toEqual(commonly());
  expect(await room.compare('select * from numbered', 'synced.from_eu', 'id')).toMatchObject({
    missing: 0,
    duplicated: 0,
  });
});

test('a run stays with the class with which it started; the next one goes where its connection points by then', async () => {
  const set = (change: { workerClass?: string | null; rowsPerSecond?: number | null }) =>
    room.store.connections.update(room.scope, 'eu-source', change, undefined);
  await set({ rowsPerSecond: 200 });
  await addSync('moves', ['eu-source', 'destination']);
  const first = await room.startRun('moves');
  await set({ workerClass: null });
  await set({ rowsPerSecond: null });
  await expectRunInOrder(room, first, 'succeeded');
  expect(await workersOf(first)).toEqual(allBy(pidOf(eu)));

  const next = await room.trigger('moves');
  await expectRunInOrder(room, next, 'succeeded');
  expect(await workersOf(next)).toEqual(commonly());
});

test('a run of a class that is cancelled is closed by a worker of the class', async () => {
  await room.store.connections.update(
    room.scope,
    'eu-source',
    // It would read for half an hour.
    { workerClass: 'eu', rowsPerSecond: 1 },
    undefined,
  );
  await addSync('stopped', ['eu-source', 'destination']);
  const run = await room.startRun('stopped');
  await room.store.runs.cancel(room.scope, run.runId);
  await expectRunInOrder(room, run, 'cancelled');
  const took = await workersOf(run);
  expect(took).toHaveProperty('cancelRun');
  expect(new Set(Object.values(took))).toEqual(new Set([pidOf(eu)]));
});

test('a run that is cancelled while nobody serves its class is made final all the same, and holds no place', async () => {
  await room.store.connections.update(room.scope, 'eu-source', { workerClass: 'us' }, undefined);
  const { runId } = await room.trigger('stopped');
  await waitUntil('it is held back', async () => {
    const { waitingReason } = await room.store.runs.fetch(room.scope, runId);
    return waitingReason === 'no_worker';
  });
  // as if the last worker had ended a moment ago
  const run = await room.startQueued(runId);
  await waitUntil('it holds a place', async () => (await room.fetchPlaces()).includes(runId));
  await room.store.runs.cancel(room.scope, runId);
  await expectRunInOrder(room, run, 'cancelled');
});
