/** A backfill whose parts a real worker copies. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom();
  await room.startWorker();
});
afterAll(() => room?.close());

test('reads its stretch part by part, and the cursor stays where it is', async () => {
  await room.source
    .query(`create table members as select id, id as v, 'first' as note from generate_series(1, 100) id;
    alter table members add primary key (id)`);
  await room.addSync({ name: 'members', mode: 'upsert', key: ['id'], cursor: { column: 'v' } });
  await (await room.startRun('members')).handle.result();
  await room.source.query(`update members set note = 'again'`);
  const { store, scope } = room;
  const range = { from: '20', to: '45', every: '10', requestKey: undefined };
  const backfill = await store.backfills.start(scope, 'members', range);
  for (const [part, rows] of [10, 10, 5].entries()) {
    const { current } = await store.backfills.fetch(scope, backfill.id);
    expect(current.part).toBe(part + 1);
    const run = await room.startQueued(current.runId);
    await run.handle.result();
    expect((await run.fetch()).receipt).toMatchObject({ read: rows, updated: rows });
  }
  expect(await store.backfills.fetch(scope, backfill.id)).toMatchObject({
    status: 'succeeded',
    done: 3,
    rows: 25,
  });
  const read = await room.destination.query(
    `select min(id), max(id) from synced.members where note = 'again'`,
  );
  const cursor = await room.destination.query('select value from _penstock.cursor');
  expect([read.rows, cursor.rows]).toEqual([[{ min: 21, max: 45 }], [{ value: '100' }]]);
});
