/** A connection's read rate through the whole engine: worker processes share it, and what ends a run ends one that waits. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { GuardedProcess } from '../../../src/dev/guard.ts';
import { expectRunInOrder } from '../../support/expect-run-in-order.ts';
import { createScheduledRoom, type ScheduledRoom } from '../../support/scheduled-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 2_000;
const query = 'select * from numbered';
let room: ScheduledRoom;
let standing: GuardedProcess;
beforeAll(async () => {
  room = await createScheduledRoom();
  await room.source.query(
    `create table numbered as select id, 'user ' || id as label from generate_series(1, ${rows}) id;
     alter table numbered add primary key (id); analyze numbered`,
  );
  standing = await room.startWorker();
});
afterAll(() => room?.close());

const addSync = (name: string, parallel = 1) =>
  room.addSync({
    name,
    mode: 'append',
    key: ['id'],
    source: { connection: 'source', query },
    limits: { batchRows: 500, parallel },
  });
const limit = (rowsPerSecond: number | null) =>
  room.store.connections.update(room.scope, 'source', { rowsPerSecond }, undefined);
const committed = async (name: string): Promise<number> => {
  const { rows: found } = await room.destination.query<{ n: number }>(
    `select count(*)::int as n from synced.${name}`,
  );
  return found[0]!.n;
};

test('runs in two worker processes, one with two partitions, read at most the limit together', async () => {
  const perSecond = 1_000;
  await limit(perSecond);
  const other = await room.startWorker('copy');
  await room.destination.query(
    `create table synced.one (id int, label text); create table synced.two (id int, label text)`,
  );
  await Promise.all([addSync('one', 2), addSync('two')]);
  const runs = await Promise.all([room.trigger('one'), room.trigger('two')]);
  let tooMany = 0;
  await waitUntil('all rows are there', async () => {
    const there = (await committed('one')) + (await committed('two'));
    const { rows: found } = await room.control.query<{ since: number | null }>(
      `select extract(epoch from clock_timestamp() - min(started_at))::float8 as since from penstock.run_attempt`,
    );
    tooMany = Math.max(tooMany, there - perSecond * (1 + (found[0]!.since ?? 0)));
    return there === 2 * rows;
  });
  expect(tooMany).toBe(0);
  for (const run of runs) await expectRunInOrder(room, run, 'succeeded');
  for (const name of ['one', 'two'])
    expect(await room.compare(query, `synced.${name}`, 'id')).toMatchObject({ missing: 0, duplicated: 0 });
  const { items } = await room.store.runs.listAttempts(room.scope, runs[0].runId, { limit: 10 });
  for (const { share } of items) expect(share?.rowsPerSecond).toBeLessThanOrEqual(perSecond);
  other.signal('SIGTERM');
  await other.exited;
});

test('a run that would read for an hour is paused, drained and cancelled at once; without the limit the next one ends', async () => {
  await limit(1);
  await addSync('slow');
  const run = await room.startRun('slow');
  await waitUntil(
    'it has written a row, and waits for more',
    async () => (await run.fetch()).progress.rows > 0,
  );
  await room.store.runs.pause(room.scope, run.runId);
  await expectRunInOrder(room, run, 'paused');
  await room.store.runs.resume(room.scope, run.runId);
  await waitUntil('it reads again', async () => (await run.fetch()).attempts >= 2);
  const former = standing;
  standing = await room.startWorker();
  former.signal('SIGTERM');
  await former.exited;
  await waitUntil('another worker reads', async () => (await run.fetch()).attempts >= 3);
  await room.store.runs.cancel(room.scope, run.runId);
  await expectRunInOrder(room, run, 'cancelled');
  expect((await run.fetch()).progress.rows).toBe(await committed('slow'));

  const next = await room.startRun('slow');
  await waitUntil('it reads', async () => (await next.fetch()).attempts >= 1);
  await limit(null);
  await expectRunInOrder(room, next, 'succeeded');
  expect(await committed('slow')).toBe(rows);
});
