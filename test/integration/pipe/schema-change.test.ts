/** Columns that change at either end, between loads and in the middle of one: nothing is half published, nothing guessed. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import { writeModeNames } from '../../../src/domain/write-modes.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import {
  createPipeRoom,
  rowsAsText,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target cascade');
  await room.from.query('drop table if exists goods');
  await room.from.query('create table goods (id integer primary key, name text, price bigint)');
  await room.from.query(`insert into goods select i, 'n' || i, i from generate_series(1, 100) as i`);
});

const goods = (mode: SyncInput['mode'] = 'upsert', onSchemaChange: 'fail' | 'add_columns' = 'fail') =>
  room.sync({ query: 'select * from goods', key: ['id'], mode, onSchemaChange });
const limits = { rows: 10, bytes: 1 << 20, timeMs: 60_000 };
const targetColumns = async () => {
  const { rows } = await room.to.query(
    `select attname || ' ' || format_type(atttypid, atttypmod) as column from pg_attribute
      where attrelid = to_regclass('target') and attnum > 0 and not attisdropped order by attnum`,
  );
  return rows.map(({ column }: { column: string }) => column);
};
/** Half of a load, in one batch of ten rows after another. */
async function copyHalf(sync: TestSync): Promise<{ run: RunId; load: OpenLoad }> {
  const run = newId('run');
  const load = await room.prepare(sync, run);
  let batches = 0;
  const half = {
    limits,
    onProgress: (progress: { batches: number }) => void (batches = progress.batches),
    drain: () => batches >= 5,
  };
  expect(await room.attempt(run, load, half)).toMatchObject({ outcome: 'yielded', rows: 50 });
  return { run, load };
}
const count = async () => Number((await room.to.query('select count(*) as n from target')).rows[0].n);

describe.each(writeModeNames)('%s, between two loads', (mode) => {
  test('a new column of the result fails the run, by its name, and with add_columns the target gets it', async () => {
    const sync = goods(mode);
    await room.run(sync);
    const before = await rowsAsText(room.to, 'select * from target');
    await room.from.query('alter table goods add column weight numeric(6,2) default 1.50');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringMatching(/new column weight \(numeric\(6,2\)\)/),
      pointer: '/onSchemaChange',
    });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(before);
    const run = newId('run');
    const load = await room.prepare({ ...sync, spec: { ...sync.spec, onSchemaChange: 'add_columns' } }, run);
    expect(load.schemaChange).toEqual({ added: ['weight'], gone: [] });
    await room.attempt(run, load);
    await room.destination.finish({ run, load: load.loadId });
    expect(await targetColumns()).toContain('weight numeric(6,2)');
    expect(Number((await room.to.query('select count(weight) as n from target')).rows[0].n)).toBe(100);
  });

  test('a column that is gone from the result fails the run, and with add_columns is left to be NULL', async () => {
    const sync = goods(mode);
    await room.run(sync);
    await room.from.query('alter table goods drop column price');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringContaining('the result has no column price any more'),
    });
    const run = newId('run');
    const load = await room.prepare({ ...sync, spec: { ...sync.spec, onSchemaChange: 'add_columns' } }, run);
    expect(load.schemaChange).toEqual({ added: [], gone: ['price'] });
    await room.attempt(run, load);
    await room.destination.finish({ run, load: load.loadId });
    expect(await targetColumns()).toEqual(['id integer', 'name text', 'price bigint']);
  });

  test('a renamed column is told as one gone and one new', async () => {
    const sync = goods(mode);
    await room.run(sync);
    await room.from.query('alter table goods rename column name to title');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringMatching(/new column title \(text\).*no column name any more/),
    });
  });

  test('a type that may not fit fails the run also with add_columns; one that does is fine', async () => {
    const sync = goods(mode, 'add_columns');
    await room.run(sync);
    await room.from.query('alter table goods alter column price type numeric');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringContaining(
        'the table has bigint for the column price, which may not hold every numeric',
      ),
    });
    await room.from.query('alter table goods alter column price type integer');
    await room.run(sync);
  });

  test('a column dropped from the target fails the run, and with add_columns comes back', async () => {
    const sync = goods(mode);
    await room.run(sync);
    await room.to.query('alter table target drop column price');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringContaining('the table has no column price any more'),
    });
    await room.run({ ...sync, spec: { ...sync.spec, onSchemaChange: 'add_columns' } });
    expect(await targetColumns()).toContain('price bigint');
  });

  test('a column that the target gets beside those of the result changes nothing', async () => {
    const sync = goods(mode);
    await room.run(sync);
    await room.to.query('alter table target add column note text');
    expect(await room.run(sync)).toMatchObject({ read: 100 });
  });
});

test('a column that the user took out of the query is left as it is, and said', async () => {
  const sync = goods();
  await room.run(sync);
  const shorter = {
    ...sync,
    spec: { ...sync.spec, source: { ...sync.spec.source, query: 'select id, name from goods' } },
  };
  const load = await room.prepare(shorter, newId('run'));
  expect(load.schemaChange).toEqual({ added: [], gone: ['price'] });
});

test('a key that the target has not is not added: nothing would be unique', async () => {
  await room.to.query('create table target (name text, price bigint)');
  await expect(room.run(goods('upsert', 'add_columns'))).rejects.toMatchObject({ code: 'TARGET_MISMATCH' });
  expect(await targetColumns()).toEqual(['name text', 'price bigint']);
});

test('another sync’s table is not changed', async () => {
  await room.run(goods());
  await room.from.query('alter table goods add column weight integer');
  await expect(room.run(goods('upsert', 'add_columns'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
  expect(await targetColumns()).toEqual(['id integer', 'name text', 'price bigint']);
});

test('a new column waits a second at most for its lock, and readers behind it no longer', async () => {
  const sync = goods('upsert', 'add_columns');
  await room.run(sync);
  await room.from.query('alter table goods add column weight integer');
  await room.to.query('begin; lock table target in access share mode');
  const quick = room.openDestination({ timeouts: { lockMs: 50_000 } });
  await expect(room.run(sync, { destination: quick })).rejects.toMatchObject({ code: 'TARGET_LOCKED' });
  await room.to.query('commit');
  await room.run(sync);
  await quick.close();
});

test('a new column waits for who writes the table longer than a second, while readers wait for nobody', async () => {
  const sync = goods('upsert', 'add_columns');
  await room.run(sync);
  await room.from.query('alter table goods add column weight integer');
  const writer = new Client(room.destinationAccess);
  await writer.connect();
  await writer.query('begin; lock table target in row exclusive mode');
  const patient = room.openDestination({ timeouts: { lockMs: 60_000 } });
  const run = room.run(sync, { destination: patient });
  run.catch(() => {});
  await waitUntil('the run has waited for more than a second', async () => {
    const waiting = await room.to.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query_start < clock_timestamp() - interval '1.1 seconds'
          and pid in (select pid from pg_locks where relation = 'target'::regclass and not granted)`,
    );
    return waiting.rowCount === 1;
  });
  await room.to.query(`begin; set local lock_timeout = '100ms'; select from target; commit`);
  await writer.query('commit');
  await run;
  await Promise.all([writer.end(), patient.close()]);
  expect(await targetColumns()).toContain('weight integer');
});

describe('what the target fills in itself is refused at once, by name', () => {
  test.each([
    ['a generated column', 'price bigint generated always as (id) stored', /computes the column price/],
    [
      'an identity that is always generated',
      'price bigint generated always as identity',
      /gives the column price/,
    ],
    [
      'a column that must not be NULL',
      'price bigint, rank integer not null',
      /needs a value for the column rank/,
    ],
    [
      'one of a domain that must not be NULL',
      'price bigint, rank never_null',
      /needs a value for the column rank/,
    ],
  ])('%s', async (_, column, message) => {
    await room.to.query('drop domain if exists never_null; create domain never_null as integer not null');
    await room.to.query(`create table target (id integer primary key, name text, ${column})`);
    await expect(room.prepare(goods(), newId('run'))).rejects.toMatchObject({
      code: 'TARGET_MISMATCH',
      message: expect.stringMatching(message),
    });
  });
});

describe.each(writeModeNames)('%s, in the middle of a load', (mode) => {
  const halfThen = async (change: () => Promise<unknown>) => {
    const { run, load } = await copyHalf(goods(mode));
    await change();
    return { run, load, rest: room.attempt(run, load, { limits }) };
  };

  test.each([
    [
      'retyped',
      'alter table goods alter column price type double precision',
      /price is double precision now, was bigint/,
    ],
    ['dropped', 'alter table goods drop column price', /price \(bigint\) is gone/],
  ])('a column of the result that is %s stops it before another row', async (_, sql, message) => {
    const { rest, run, load } = await halfThen(() => room.from.query(sql));
    await expect(rest).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringMatching(message),
    });
    await expect(room.destination.finish({ run, load: load.loadId })).rejects.toMatchObject({
      code: 'END_NOT_PROVEN',
    });
    expect(await count()).toBe(mode === 'replace' ? 0 : 50);
  });

  test('a new column of the result waits for the next load', async () => {
    const { rest, run, load } = await halfThen(() =>
      room.from.query('alter table goods add column weight integer'),
    );
    expect(await rest).toMatchObject({ outcome: 'finished' });
    await room.destination.finish({ run, load: load.loadId });
    expect(await count()).toBe(100);
  });

  test('a target column of eight bytes that is made another of eight bytes takes no byte of the old kind', async () => {
    const { rest, run, load } = await halfThen(() =>
      room.to.query('alter table target alter column price type double precision'),
    );
    const ended = await rest
      .then(
        () => room.destination.finish({ run, load: load.loadId }),
        (error: unknown) => Promise.reject(error),
      )
      .catch((error: unknown) => error);
    expect(ended).toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringContaining('price is double precision now, was bigint'),
    });
    expect((await room.to.query('select from target where price <> id')).rows).toEqual([]);
  });
});

describe('in the middle of a load', () => {
  test('a target column that has become wider is written on by the next run, with nothing lost or doubled', async () => {
    await room.from.query('alter table goods alter column name type varchar(10)');
    const sync = goods('append');
    const { run, load } = await copyHalf(sync);
    await room.to.query('alter table target alter column name type varchar(20)');
    await expect(room.attempt(run, load, { limits })).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    await room.destination.closeRun(run);
    const next = newId('run');
    const again = await room.prepare(sync, next);
    expect(again).toMatchObject({ loadId: load.loadId, continued: true });
    await room.attempt(next, again, { limits });
    const { receipt } = await room.destination.finish({ run: next, load: load.loadId });
    expect(receipt).toMatchObject({ read: 100, inserted: 100 });
    expect(await count()).toBe(100);
  });

  test('a target column that was dropped and made again has lost what was written: nothing is put beside it', async () => {
    const sync = goods('append');
    const { run, load } = await copyHalf(sync);
    await room.to.query('alter table target drop column name; alter table target add column name text');
    await expect(room.attempt(run, load, { limits })).rejects.toMatchObject({
      code: 'SCHEMA_CHANGED',
      message: expect.stringContaining('name (text) is gone'),
    });
    await room.destination.closeRun(run);
    await expect(room.prepare(sync, newId('run'))).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
  });
});
