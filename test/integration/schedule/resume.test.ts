/** A paused run has given its place back: resumed, it waits for one like any other, and goes on when it has it. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RunControl } from '../../../src/ports/run-control.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Dispatcher } from '../../../src/schedule/dispatcher.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createRunControl } from '../../../src/storage/run-control.ts';
import { changeRun, fetchRunStatus } from '../../../src/storage/run-status.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import {
  createSchedulerRoom,
  endRuns,
  lastingLeases,
  plantSyncs,
  quickSweeps,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex();
});
afterEach(() => room.clear());
afterAll(() => room.close());

const oneOnly = { ...quickSweeps, globalCap: 1 };
const statusOf = (runId: RunId) => asEngine(room.pool, (tx) => fetchRunStatus(tx, runId));
const isTold = (runId: RunId) => room.starter.resumed.has(workflowOf(runId));
const workflowOf = (runId: RunId) => room.starter.started.find((run) => run.runId === runId)!.workflowId;
/** Its ticket ends a moment after its start. */
const isAlone = (runId: RunId) =>
  waitUntil('it alone has a place, and no ticket', async () => (await index.fetchPlaces()).join() === runId);

interface Held {
  readonly runs: RunControl;
  readonly scope: Scope;
  readonly paused: RunId;
  readonly atWork: RunId;
  readonly dispatcher: Dispatcher;
}

/** One place: a run that has been paused, and another one that has taken its place. */
async function holdOne(): Promise<Held> {
  const planted = await plantSyncs(room.pool, { count: 2, schedule: { manual: true } });
  const scope = { tenantId: planted.tenantId, apiKeyId: null };
  const { logger } = createKeptLogger();
  const runs = createRunControl({ pool: room.pool, announcer: index, starter: room.starter, logger });
  const dispatcher = await room.startDispatcher({
    index: await room.openIndex(lastingLeases),
    options: oneOnly,
  });
  const begin = async (sync: number): Promise<RunId> => {
    const { run } = await runs.trigger(scope, planted.syncIds[sync]!, {
      requestKey: 'k',
      priority: undefined,
    });
    await waitUntil('it is started', () => room.starter.started.some(({ runId }) => runId === run.id));
    await asEngine(room.pool, (tx) => changeRun(tx, run.id, 'prepare'));
    return run.id;
  };
  const paused = await begin(0);
  await runs.pause(scope, paused);
  await asEngine(room.pool, (tx) => changeRun(tx, paused, 'settlePause'));
  await index.releaseRuns([paused]);
  return { runs, scope, paused, atWork: await begin(1), dispatcher };
}

test('a resumed run stays paused while another has its place, and goes on when that one ends', async () => {
  const { runs, scope, paused, atWork } = await holdOne();
  expect(await runs.resume(scope, paused)).toMatchObject({ status: 'paused', waitingReason: 'global_cap' });
  await waitUntil(
    'it waits in the index',
    async () => (await room.redis.hexists(room.key('runs'), paused)) === 1,
  );
  await isAlone(atWork);
  await endRuns(room, index, [atWork]);
  await waitUntil('its workflow is told', () => isTold(paused));
  expect(await statusOf(paused)).toBe('running');
  await isAlone(paused);
});

test('an index that was lost loses no resume', async () => {
  const { runs, scope, paused, atWork } = await holdOne();
  await runs.resume(scope, paused);
  await room.redis.flushdb();
  await endRuns(room, index, [atWork]);
  await waitUntil('its workflow is told', () => isTold(paused));
});

test('without Redis the rows alone give it its place, and not before there is one', async () => {
  const { runs, scope, paused, atWork, dispatcher } = await holdOne();
  await dispatcher.stop();
  await runs.resume(scope, paused);
  expect(await room.store.fetchAdmissible(1, 10)).toEqual([]);
  await asEngine(room.pool, (tx) => changeRun(tx, atWork, 'settleCancel'));
  expect(await room.store.fetchAdmissible(1, 10)).toEqual([paused]);
});

test('a run that is paused again does not go on', async () => {
  const { runs, scope, paused, atWork } = await holdOne();
  await runs.resume(scope, paused);
  expect(await runs.pause(scope, paused)).toMatchObject({ status: 'paused', waitingReason: null });
  await endRuns(room, index, [atWork]);
  expect(await room.store.startRuns([paused])).toEqual([{ runId: paused, verdict: 'gone' }]);
  expect(isTold(paused)).toBe(false);
});
