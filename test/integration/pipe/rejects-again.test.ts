/** Rejected rows of incremental syncs: every later load reads them again, until they can be written. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.destination.ensureSchema();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
  await room.to.query('truncate _penstock.reject');
});

const limits = (maxRejects: number) => ({
  limits: { rows: 50_000, bytes: 16 << 20, timeMs: 60_000, maxRejects },
});
const rejects = async () => {
  const { rows } = await room.to.query(
    'select key, attempts, "values", settled_at is not null as settled from _penstock.reject order by id',
  );
  return rows as Record<string, unknown>[];
};

describe('a load of what is new since the cursor reads what was rejected again', () => {
  beforeEach(async () => {
    await room.from.query('drop table if exists visits');
    await room.from.query('create table visits (id integer not null, city text, at integer not null)');
    await room.to.query('create table target (id integer, city text, at integer)');
    await room.to.query(`alter table target add constraint no_rome check (city <> 'Rome')`);
  });
  const visits = (mode: 'append' | 'upsert' = 'append') =>
    room.sync({ query: 'select * from visits', key: ['id'], mode, cursor: { column: 'at' } });
  const insert = (...rows: [id: number, city: string, at: number][]) =>
    room.from.query(
      `insert into visits select * from json_to_recordset($1) as r(id integer, city text, at integer)`,
      [JSON.stringify(rows.map(([id, city, at]) => ({ id, city, at })))],
    );
  const mend = () => room.to.query('alter table target drop constraint no_rome');
  const target = async () => {
    const { rows } = await room.to.query(
      `select id || ' ' || city || ' ' || at as row from target order by at, id`,
    );
    return rows.map(({ row }: { row: string }) => row);
  };

  test('until it succeeds, and appends it once', async () => {
    await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
    const sync = visits();
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 2, inserted: 1, rejected: 1 });
    await insert([3, 'Bern', 3]);
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 2, inserted: 1, rejected: 1 });
    expect(await rejects()).toMatchObject([{ key: ['2'], attempts: 2, settled: false }]);
    await mend();
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 1, inserted: 1, rejected: 0 });
    expect(await rejects()).toMatchObject([{ key: ['2'], settled: true, values: null }]);
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 0 });
    expect(await target()).toEqual(['1 Oslo 1', '2 Rome 2', '3 Bern 3']);
  });

  test('once more without allowance: what is still refused stops the run', async () => {
    await insert([2, 'Rome', 2]);
    const sync = visits();
    await room.run(sync, limits(1));
    await expect(room.run(sync, limits(0))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
  });

  test('not what was written of its key before, nor what is above the window', async () => {
    await insert([7, 'Oslo', 1]);
    const sync = visits();
    await room.run(sync, limits(2));
    await insert([7, 'Rome', 2], [7, 'Bern', 3]);
    expect(await room.run(sync, limits(2))).toMatchObject({ read: 2, rejected: 2 });
    await mend();
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await insert([7, 'Wien', 9]);
    await room.attempt(run, load, limits(2));
    await room.destination.finish({ run, load: load.loadId });
    expect(await target()).toEqual(['7 Oslo 1', '7 Rome 2', '7 Bern 3']);
    expect(await room.run(sync, limits(2))).toMatchObject({ read: 1, inserted: 1 });
    expect(await target()).toEqual(['7 Oslo 1', '7 Rome 2', '7 Bern 3', '7 Wien 9']);
  });

  test('as the source says it now: a row mended there is read once, in its new window', async () => {
    await insert([2, 'Rome', 2], [3, 'Oslo', 3]);
    const sync = visits();
    await room.run(sync, limits(1));
    await room.from.query(`update visits set city = 'Roma', at = 10 where id = 2`);
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 1, inserted: 1 });
    expect(await target()).toEqual(['3 Oslo 3', '2 Roma 10']);
    expect(await rejects()).toMatchObject([{ key: ['2'], settled: true }]);
  });

  test('and settles what is gone from the source', async () => {
    await insert([2, 'Rome', 2]);
    const sync = visits();
    await room.run(sync, limits(1));
    await room.from.query('delete from visits');
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 0 });
    expect(await rejects()).toMatchObject([{ key: ['2'], settled: true }]);
  });

  test('not where the query is written around its window: such a reject stays open until everything is read', async () => {
    await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
    const sync = room.sync({
      query: 'select * from visits where at > {{cursor}}',
      key: ['id'],
      cursor: { column: 'at' },
    });
    await room.run(sync, limits(1));
    await mend();
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 0 });
    expect(await rejects()).toMatchObject([{ key: ['2'], settled: false }]);
  });

  test.each([[['at']], [['city', 'id']]])(
    'not under another key (%j), where its values would name other rows: it stays open until everything is read',
    async (key) => {
      await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
      const sync = visits();
      await room.run(sync, limits(1));
      await mend();
      await insert([3, 'Bern', 3]);
      const other = {
        ...room.sync({ query: 'select * from visits', key, cursor: { column: 'at' } }),
        id: sync.id,
      };
      await room.destination.keepCursor(sync.id);
      expect(await room.run(other, limits(1))).toMatchObject({ read: 1, inserted: 1, rejected: 0 });
      expect(await rejects()).toMatchObject([{ key: ['2'], settled: false }]);
    },
  );

  test.each([
    ['still takes its values', 'bigint', 'id', { read: 2, inserted: 2 }, true],
    [
      'may not take its values: it stays open until everything is read',
      'text',
      'id::integer',
      { read: 1 },
      false,
    ],
  ])('of a key whose type has changed and %s', async (_, type, cast, receipt, settled) => {
    await room.from.query(`alter table visits alter id type ${type}`);
    await room.to.query('alter table target alter id type text');
    await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
    const sync = visits();
    await room.run(sync, limits(1));
    await mend();
    await insert([3, 'Bern', 3]);
    await room.from.query(`alter table visits alter id type numeric using ${cast}`);
    expect(await room.run(sync)).toMatchObject({ ...receipt, rejected: 0 });
    expect(await rejects()).toMatchObject([{ key: ['2'], settled }]);
  });

  test('not where its rows came in no order: its values do not tell which they were', async () => {
    await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
    const sync = room.sync({ query: 'select * from visits limit 9', key: [], cursor: { column: 'at' } });
    await room.run(sync, limits(1));
    expect(await room.run(sync)).toMatchObject({ read: 0 });
    expect(await rejects()).toMatchObject([{ key: null, settled: false }]);
  });

  test('in an upsert also where it was found by looking back', async () => {
    await room.to.query(
      'alter table target add primary key (id), alter column at type timestamptz using null',
    );
    await room.from.query('alter table visits alter column at type timestamptz using null');
    const visit = (id: number, city: string, minutesAgo: number) =>
      room.from.query(`insert into visits values ($1, $2, now() - interval '1 minute' * $3)`, [
        id,
        city,
        minutesAgo,
      ]);
    const query = 'select * from visits';
    const sync = room.sync({ query, key: ['id'], mode: 'upsert', cursor: { column: 'at', lookback: '1h' } });
    await visit(1, 'Oslo', 180);
    await room.run(sync);
    await visit(2, 'Rome', 190);
    expect(await room.run(sync, limits(1))).toMatchObject({ rejected: 1 });
    await visit(3, 'Bern', 1);
    expect(await room.run(sync, limits(1))).toMatchObject({ inserted: 1, rejected: 1 });
    await mend();
    expect(await room.run(sync, limits(1))).toMatchObject({ inserted: 1, rejected: 0 });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));
  });

  test('in an upsert without writing an older row over a newer one', async () => {
    await room.to.query('alter table target add primary key (id)');
    await insert([1, 'Oslo', 1], [2, 'Rome', 2]);
    const sync = visits('upsert');
    await room.run(sync, limits(1));
    await mend();
    await room.from.query(`update visits set city = 'Bern', at = 5 where id = 2`);
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 1, inserted: 1 });
    expect(await target()).toEqual(['1 Oslo 1', '2 Bern 5']);
  });
});
