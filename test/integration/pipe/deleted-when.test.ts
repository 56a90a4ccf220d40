/** deletedWhen: rows of the result that say that their key is gone delete it in the target, in the batch's transaction. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import {
  createPipeRoom,
  nextEpoch,
  rowsAsText,
  type PipeRoom,
  type SyncInput,
} from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target cascade');
  await room.from.query('drop table if exists people');
  await room.from.query(
    'create table people (id integer primary key, name text, gone boolean, gone_at timestamptz, seq integer)',
  );
  await room.from.query(
    `insert into people select i, 'name ' || i, false, null, i from generate_series(1, 50) as i`,
  );
});

const withFlag = 'select id, name, seq, gone from people';
const withTime = 'select id, name, seq, gone_at from people';
const upsert = (over: Partial<SyncInput> = {}) =>
  room.sync({ query: withFlag, key: ['id'], mode: 'upsert', deletedWhen: 'gone', ...over });
const bury = (where: string) =>
  room.from.query(`update people set gone = true, gone_at = now(), seq = seq + 1000 where ${where}`);
const expectLive = async (where = 'true') =>
  expect(await rowsAsText(room.to, `select id, name from target where ${where}`)).toEqual(
    await rowsAsText(room.from, 'select id, name from people where gone is not true'),
  );

test.each([
  ['a boolean that is true', withFlag, 'gone'],
  ['a time that is there', withTime, 'gone_at'],
])('%s says so; the column is not written where the target has none', async (_, query, deletedWhen) => {
  await bury('id <= 3');
  const sync = upsert({ query, deletedWhen });
  expect(await room.run(sync)).toMatchObject({ read: 50, inserted: 47, tombstones: 3, deleted: 0 });
  await expectLive();
  await bury('id between 3 and 10');
  await room.from.query(`update people set name = 'changed' where id = 20`);
  expect(await room.run(sync)).toMatchObject({
    read: 50,
    inserted: 0,
    updated: 1,
    unchanged: 39,
    tombstones: 10,
    deleted: 7,
  });
  await expectLive();
  const { rows } = await room.to.query(
    `select attname from pg_attribute where attrelid = 'target'::regclass and attnum > 0 order by attnum`,
  );
  expect(rows.map((row) => row.attname)).toEqual(['id', 'name', 'seq']);
});

test('the column is written where the target has it', async () => {
  await room.to.query('create table target (id integer primary key, name text, seq integer, gone boolean)');
  await room.from.query('update people set gone = null where id = 7');
  const sync = upsert();
  await room.run(sync);
  await bury('id = 8');
  expect(await room.run(sync)).toMatchObject({ unchanged: 49, deleted: 1 });
  await expectLive();
  expect((await room.to.query('select count(*)::int as n from target where gone is null')).rows).toEqual([
    { n: 1 },
  ]);
});

test('a key that comes again lives again', async () => {
  const sync = upsert();
  await room.run(sync);
  await bury('id = 8');
  await room.run(sync);
  await room.from.query('update people set gone = false, seq = seq + 1000 where id = 8');
  expect(await room.run(sync)).toMatchObject({ inserted: 1, tombstones: 0 });
  await expectLive();
});

test('of a key that is both in one batch, the row with the greatest cursor decides', async () => {
  await room.from.query('alter table people drop constraint people_pkey');
  await room.from.query(
    `insert into people values (7, 'buried', true, now(), 99), (8, 'buried', true, now(), 2)`,
  );
  const sync = upsert({ cursor: { column: 'seq', lag: '30s' } });
  expect(await room.run(sync)).toMatchObject({ read: 52, inserted: 49, deduplicated: 2, tombstones: 1 });
  expect((await room.to.query('select name from target where id in (7, 8)')).rows).toEqual([
    { name: 'name 8' },
  ]);
});

test('an incremental sync reads what was buried since, once', async () => {
  const sync = upsert({ cursor: { column: 'seq', lag: '30s' } });
  await room.run(sync);
  await bury('id > 45');
  expect(await room.run(sync)).toMatchObject({ read: 5, tombstones: 5, deleted: 5 });
  expect(await room.run(sync)).toMatchObject({ read: 0, deleted: 0 });
  await expectLive();
});

test('set for a sync that has read such rows already, it reads them again', async () => {
  await bury('id <= 3');
  const { deletedWhen: _, ...spec } = upsert({ cursor: { column: 'seq' } }).spec;
  const before = { ...upsert(), spec };
  expect(await room.run(before)).toMatchObject({ read: 50, inserted: 50 });
  const after = { ...before, spec: { ...spec, deletedWhen: 'gone' } };
  expect(await room.run(after)).toMatchObject({ read: 50, tombstones: 3, deleted: 3 });
  await expectLive();
});

test('softDelete marks the row instead', async () => {
  const sync = upsert({ softDelete: 'deleted_at' });
  await room.run(sync);
  await bury('id <= 5');
  expect(await room.run(sync)).toMatchObject({ unchanged: 45, tombstones: 5, deleted: 5 });
  expect(await room.run(sync)).toMatchObject({ unchanged: 45, tombstones: 5, deleted: 0 });
  await expectLive('deleted_at is null');
  expect((await room.to.query('select from target')).rowCount).toBe(50);
});

test('a batch that dies before its COMMIT has deleted nothing, and a replaced one cannot', async () => {
  const sync = upsert();
  await room.run(sync);
  await bury('id <= 20');
  const run = newId('run');
  const load = await room.prepare(sync, run);
  const lease = { run, load: load.loadId, partition: 1 };
  const zombie = await room.destination.takeLease({ ...lease, epoch: nextEpoch() });
  await zombie.begin();
  const next = await room
    .openDestination({ timeouts: { graceMs: 50 } })
    .takeLease({ ...lease, epoch: nextEpoch() });
  await expect(zombie.commit({ keyHi: null, rows: 0, bytes: 0, final: false })).rejects.toThrow();
  await Promise.all([zombie.close(), next.close()]);
  expect((await room.to.query('select from target')).rowCount).toBe(50);
  const limits = { rows: 7, bytes: 1 << 20, timeMs: 60_000 };
  let batches = 0;
  await room.attempt(run, load, { limits, drain: () => batches++ > 1 });
  await room.attempt(run, load, { limits });
  const { receipt } = await room.destination.finish({ run, load: load.loadId });
  expect(receipt).toMatchObject({ read: 50, tombstones: 20, deleted: 20, unchanged: 30 });
  await expectLive();
});

describe('it is refused', () => {
  test('when the result has no such column', async () => {
    await expect(room.prepare(upsert({ deletedWhen: 'dead' }), newId('run'))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      pointer: '/deletedWhen',
    });
  });

  test('when a trigger keeps the row', async () => {
    const sync = upsert();
    await room.run(sync);
    await room.to.query(
      `create or replace function keep() returns trigger language plpgsql as $$ begin return null; end $$`,
    );
    await room.to.query('create trigger keep before delete on target for each row execute function keep()');
    await bury('id = 3');
    await expect(room.run(sync)).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
  });
});
