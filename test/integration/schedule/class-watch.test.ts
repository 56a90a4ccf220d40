/** Runs of a worker class that nobody serves take no place, and start when somebody does: with Redis and without. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { RunId } from '../../../src/domain/ids.ts';
import {
  createSchedulerRoom,
  plantDue,
  quickSweeps,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(() => room.close());

test.each(['with Redis', 'without Redis'])(
  '%s, runs of a class that nobody serves take no place until somebody does',
  async (how) => {
    const setClass = (workerClass: string, ids: readonly string[]) =>
      room.pool.query('update penstock.connection set worker_class = $1 where id = any($2)', [
        workerClass,
        ids,
      ]);
    const planted = { idle: await plantDue(room.pool, { count: 3 }), busy: await plantDue(room.pool) };
    for (const [workerClass, { connectionId }] of Object.entries(planted))
      await setClass(workerClass, [connectionId]);
    const plain = await plantDue(room.pool, { count: 2 });
    await room.store.settle([...planted.idle.syncIds, ...planted.busy.syncIds, ...plain.syncIds]);
    const index = await room.openIndex();
    if (how === 'without Redis') index.close();

    // as many places as there are runs of the two that are served in the end
    await room.startDispatcher({ index, options: { ...quickSweeps, globalCap: 3 } });
    const { starter } = room;
    const expectStarted = async (count: number) => {
      await waitUntil(`${count} are started`, () => starter.started.length === count);
      return starter.started.map(({ workerClass }) => workerClass);
    };
    // while nobody serves any class, the common workers' runs go on
    expect(await expectStarted(2)).toEqual([null, null]);
    starter.setWorker(true, 'busy');
    expect(await expectStarted(3)).toEqual([null, null, 'busy']);
    const held = await room.pool.query<{ id: RunId }>(`select id from penstock.run where status = 'queued'`);
    const ids = held.rows.map(({ id }) => id);
    expect(await room.store.fetchWaitingRuns(ids, ['busy'])).toEqual([]);
    expect(await room.store.fetchWaitingRuns(ids, ['busy', 'idle'])).toHaveLength(3);

    await room.pool.query(`update penstock.run set status = 'paused' where status = 'starting'`);
    starter.setWorker(true, 'idle');
    expect((await expectStarted(6)).slice(3)).toEqual(['idle', 'idle', 'idle']);
    expect(room.lines.join('\n')).toContain('"workerClass":"idle"');
  },
);
