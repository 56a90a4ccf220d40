/** A deleted sync gives up its tables, whatever is away when it is deleted. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { newId, type SyncId } from '../../../src/domain/ids.ts';
import { createControlStore } from '../../../src/storage/control-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { plantRun } from '../../support/plant-run.ts';
import { createSchedulerRoom, plantSyncs, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(() => room.close());

/** Plants syncs and deletes them, as the API does while neither Redis nor Temporal nor a destination answers. */
async function deleteSyncs(count: number, atWork: (sync: SyncId) => Promise<void> = async () => {}) {
  const { tenantId, syncIds } = await plantSyncs(room.pool, { count, schedule: { manual: true } });
  const away = () => Promise.reject(new Error('it is away'));
  const store = createControlStore({
    pool: room.pool,
    secretBox: createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]),
    logger: createKeptLogger().logger,
    announcer: { publishDue: away, offerRuns: away, releaseRuns: away, saveLimits: away },
    starter: { cancel: away, pause: away, resume: away },
  });
  for (const sync of syncIds) {
    await atWork(sync);
    await store.syncs.delete({ tenantId, apiKeyId: newId('apiKey') }, sync, undefined);
  }
  return syncIds;
}

const held = async (): Promise<SyncId[]> =>
  (await room.pool.query('select id from penstock.sync where release_at is not null')).rows.map(
    (row) => row.id,
  );

test('it is released once, soon after it was deleted', async () => {
  const [sync] = await deleteSyncs(1);
  const released: SyncId[] = [];
  await room.startDispatcher({ releaseSync: async (id) => void released.push(id) });
  await waitUntil('it is released', async () => (await held()).length === 0);
  expect(released).toEqual([sync]);
});

test('a destination that is away is asked again, and holds up no other', async () => {
  const [first, second] = await deleteSyncs(2);
  let isAway = true;
  const released: SyncId[] = [];
  await room.startDispatcher({
    releaseSync: async (id) => {
      if (id === first && isAway) throw new Error('it is away');
      released.push(id);
    },
  });
  await waitUntil('the other one is released', async () => (await held()).join() === first);
  expect(released).toEqual([second]);
  isAway = false;
  await waitUntil('both are released', async () => (await held()).length === 0);
  expect(released).toEqual([second, first]);
});

test('not while a run of it may still write', async () => {
  const run = newId('run');
  const [sync] = await deleteSyncs(1, async (id) => {
    await plantRun(room.pool, id, { id: run, status: 'running' });
  });
  expect(await room.store.fetchReleases()).toEqual([]);
  await room.pool.query(`update penstock.run set status = 'cancelled', ended_at = now() where id = $1`, [
    run,
  ]);
  expect(await room.store.fetchReleases()).toEqual([sync]);
});
