/** Due times of a sync whose source has not changed, with a real worker. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom();
  await room.startWorker();
});
afterAll(() => room?.close());

test('are skipped, say so, and hold nothing; a change, or whoever asks for a run, makes one that works', async () => {
  await room.source.query(
    'create table members as select id, now() as at from generate_series(1, 3) id; alter table members add primary key (id)',
  );
  await room.addSync({
    name: 'members',
    mode: 'upsert',
    key: ['id'],
    schedule: { every: '1h' },
    skipIfUnchanged: 'select count(*), max(at) from members',
  });
  const endOf = async (begun: Promise<Awaited<ReturnType<CopyingRoom['startRun']>>>) => {
    const run = await begun;
    await run.handle.result();
    const { status, endReason, receipt } = await run.fetch();
    return { status, endReason, read: receipt?.read };
  };
  const worked = (read: number) => ({ status: 'succeeded', endReason: null, read });
  const skipped = { status: 'cancelled', endReason: 'unchanged', read: undefined };

  expect(await endOf(room.startDue('members'))).toEqual(worked(3));
  expect(await endOf(room.startDue('members'))).toEqual(skipped);
  expect(await endOf(room.startRun('members'))).toEqual(worked(3));
  expect(await endOf(room.startDue('members'))).toEqual(skipped);
  await room.source.query('insert into members values (4, now())');
  expect(await endOf(room.startDue('members'))).toEqual(worked(4));

  const { items } = await room.store.syncs.listSlots(room.scope, 'members', { limit: 10 });
  expect(items.map(({ outcome }) => outcome)).toEqual([
    'started',
    'skipped_unchanged',
    'skipped_unchanged',
    'started',
  ]);
  const open = await room.destination.query('select from _penstock.lease where run is not null');
  expect(open.rowCount).toBe(0);
});
