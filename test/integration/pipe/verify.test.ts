/** Verify finds every kind of difference, and none where there is none. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId } from '../../../src/domain/ids.ts';
import type { VerifyReport } from '../../../src/domain/verify-report.ts';
import {
  createPipeRoom,
  urlOf,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { awkwardValues, createTypes } from '../../support/type-corpus.ts';
import { verifySync } from '../../support/verify-sync.ts';

const rows = 3_000;

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create table item as
       select id, 'item ' || id as name, id * 0.1::float8 as weight, now() + id * interval '1 s' as at,
              ('tag ' || id) collate "en-x-icu" as tag
         from generate_series(1, ${rows}) id;
     alter table item add primary key (id); create unique index on item (tag); analyze item`,
  );
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target'));

const copied = async (input: Partial<SyncInput> = {}): Promise<TestSync> => {
  const sync = room.sync({ query: 'select * from item', key: ['id'], mode: 'upsert', ...input });
  await room.run(sync);
  return sync;
};

const nothing = {
  rejected: 0,
  missing: 0,
  extra: 0,
  different: 0,
  duplicated: 0,
  pending: 0,
  deduplicated: 0,
};
const alike = { equal: true, complete: true, sourceRows: rows, destinationRows: rows, ...nothing };

describe('verify finds', () => {
  const plant = (sql: string) => room.to.query(sql);

  test('nothing where nothing differs', async () => {
    const parts: number[] = [];
    const report = await verifySync(room, await copied(), {
      onProgress: (_, part, of) => parts.push(part / of),
    });
    expect(report).toMatchObject({ ...alike, examples: [], unfinished: false });
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.at(-1)).toBe(1);
  });

  const planted: [string, string, Partial<VerifyReport>][] = [
    [
      'a row that is missing',
      'delete from target where id in (7, 2999)',
      { missing: 2, destinationRows: rows - 2 },
    ],
    [
      'a row that is extra',
      `insert into target select ${rows + 1}, name, weight, at, 'x' from target where id = 1`,
      { extra: 1, destinationRows: rows + 1 },
    ],
    ['a row that is different', `update target set name = name || ' ' where id = 1234`, { different: 1 }],
    [
      'the last digit of a float',
      `update target set weight = weight + 1e-13 where id = 77`,
      { different: 1 },
    ],
    ['a microsecond', `update target set at = at + interval '1 us' where id = 77`, { different: 1 }],
    ['an empty text for a NULL', `update target set name = '' where id = 77`, { different: 1 }],
    [
      'values that have changed places',
      `update target set name = case id when 1 then 'item 2' else 'item 1' end where id in (1, 2)`,
      { different: 2 },
    ],
    [
      'rows that are there twice',
      `alter table target drop constraint target_pkey; insert into target select * from target where id in (3, 4)`,
      { duplicated: 2, destinationRows: rows + 2 },
    ],
  ];
  test.each(planted)('%s', async (_, sql, found) => {
    const sync = await copied();
    await plant(sql);
    expect(await verifySync(room, sync)).toMatchObject({ ...alike, equal: false, ...found });
  });

  test('the same by a text key, whatever the collation, and without any key', async () => {
    for (const [input, found] of [
      [{ key: ['tag'] }, { different: 1, missing: 1, extra: 1 }],
      [
        { key: ['name', 'id'], mode: 'append' as const },
        { different: 1, missing: 1, extra: 1 },
      ],
      [
        { key: [], mode: 'append' as const },
        { missing: 2, extra: 2 },
      ],
    ] as const) {
      await room.to.query('drop table if exists target');
      const sync = await copied({ ...input, key: [...input.key] });
      expect(await verifySync(room, sync)).toMatchObject(alike);
      await plant(
        `update target set weight = 0 where id = 10; delete from target where id = 11;
         insert into target select 0, 'new', 0, at, 'new' from target where id = 10`,
      );
      expect(await verifySync(room, sync)).toMatchObject({ equal: false, ...found });
    }
  });

  test('the keys of the rows, at most as many as were asked for, and never a value', async () => {
    const sync = await copied({ key: ['id'] });
    await plant(`update target set name = 'canary' where id <= 20; delete from target where id = 30`);
    const few = await verifySync(room, sync, { maxExamples: 3 });
    expect(few.examples.length).toBe(3);
    const all = await verifySync(room, sync);
    expect(all.examples).toContainEqual({ fault: 'missing', key: '(30)' });
    expect(all.examples).toContainEqual({ fault: 'different', key: '(20)' });
    expect(all.examples.length).toBe(21);
    expect(JSON.stringify([few, all])).not.toMatch(/canary|item/);
  });

  test('so many that it stops counting, and says so', async () => {
    await room.from.query(
      'create table big as select id from generate_series(1, 30000) id; alter table big add primary key (id)',
    );
    const sync = await copied({ query: 'select * from big' });
    await plant('delete from target');
    const report = await verifySync(room, sync, {
      maxExamples: 1,
      sizes: { partRows: 5_000, leafRows: 5_000 },
    });
    expect(report).toMatchObject({ equal: false, complete: false });
    expect(report.missing).toBeGreaterThanOrEqual(10_000);
    expect(report.missing).toBeLessThan(30_000);
  });
});

describe('verify does not mind', () => {
  test('settings of the databases that print values otherwise, and another order of columns', async () => {
    const { rows: named } = await room.to.query<{ name: string }>('select current_database() as name');
    const database = named[0]!.name;
    await room.to.query(
      `alter database "${database}" set extra_float_digits = 0; alter database "${database}" set datestyle = 'SQL, DMY';
       alter database "${database}" set intervalstyle = 'iso_8601'; alter database "${database}" set bytea_output = 'escape';
       alter database "${database}" set timezone = 'Asia/Kolkata';
       create table target (tag text, at timestamptz, weight float8, note text default 'ours', name text, id integer primary key)`,
    );
    expect(await verifySync(room, await copied())).toMatchObject(alike);
  });

  test.each([
    ['LATIN1', '\u00e9', '\u00e8'],
    ['EUC_JP', '\u3042', '\u3044'],
    ['EUC_KR', '\uac00', '\ub098'],
    // Bytes that nobody has looked at: those that a client with UTF-8 has sent.
    ['SQL_ASCII', '\u00e9', '\u3042'],
  ])('a source in %s, whose bytes are others', async (encoding, letter, other) => {
    const { database } = room.sourceAccess;
    const foreign = `${database}_${encoding.toLowerCase()}`;
    await room.from.query(`create database ${foreign} encoding '${encoding}' locale 'C' template template0`);
    const access = { ...room.sourceAccess, database: foreign };
    const client = new Client({ connectionString: urlOf(access) });
    await client.connect();
    const source = openPostgresSource(access, room.memory);
    try {
      await client.query(`create table item as select 'k${letter} ' || i as id, repeat('${letter}', i) as name from generate_series(1, 300) as i;
        alter table item add primary key (id)`);
      const sync = room.sync({ query: 'select * from item', key: ['id'], mode: 'upsert' });
      await room.run(sync, { source });
      const report = await verifySync({ ...room, source }, sync);
      expect(report).toMatchObject({ ...alike, sourceRows: 300, destinationRows: 300 });
      await room.to.query(`update target set name = '${other}' where name = '${letter}'`);
      expect(await verifySync({ ...room, source }, sync)).toMatchObject({ equal: false, different: 1 });
    } finally {
      await source.close();
      await client.end();
      await room.from.query(`drop database ${foreign}`);
    }
  });

  test('any type and value of the corpus', async () => {
    await createTypes(room.from);
    await createTypes(room.to);
    const types = Object.entries(awkwardValues);
    const values = types.flatMap(([type, texts]) =>
      texts.map((text) => ({ column: `"${type.replaceAll('"', '""')}"`, type, text })),
    );
    const columns = types.map(([type]) => `"${type.replaceAll('"', '""')}" ${type}`);
    await room.from.query(`create table every_type (id serial primary key, ${columns.join(', ')})`);
    for (const { column, type, text } of values)
      await room.from.query(`insert into every_type (${column}) values ($1::text::${type})`, [text]);
    const sync = await copied({ query: 'select * from every_type' });
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: values.length,
      destinationRows: values.length,
    });
  });

  test('rows past the cursor, new ones and changed ones: the next run brings them', async () => {
    await room.from.query('create table event (id integer primary key, version integer)');
    await room.from.query('insert into event select id, id from generate_series(1, 2000) id');
    const sync = await copied({ query: 'select * from event', cursor: { column: 'version' } });
    await room.from.query('insert into event values (2001, 2001)');
    await room.from.query('update event set version = 2002 where id <= 3');
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: 1_997,
      destinationRows: 2_000,
      pending: 3,
    });
    await room.run(sync);
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: 2_001,
      destinationRows: 2_001,
    });
  });

  test('placeholders, which stand for all windows together', async () => {
    await room.from.query('create table seen (id integer primary key, at integer not null)');
    await room.from.query('insert into seen select id, id from generate_series(1, 500) id');
    const query =
      "select * from seen where at > {{cursor}} and at <= {{window.to}} and now() > {{run_time}} - interval '1 h'";
    const sync = await copied({ query, cursor: { column: 'at' } });
    await room.from.query('insert into seen select id, id from generate_series(501, 900) id');
    expect(await room.run(sync)).toMatchObject({ read: 400 });
    await room.from.query('update seen set at = 1000 where id = 1');
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: 899,
      destinationRows: 900,
      pending: 1,
    });
  });

  test('rows of one key, of which an upsert keeps one', async () => {
    await room.from.query(
      'create table twice as select id % 1000 as k, id as v from generate_series(1, 1500) id',
    );
    const sync = await copied({ query: 'select * from twice', key: ['k'] });
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: 1_500,
      destinationRows: 1_000,
      deduplicated: 500,
    });
    await room.to.query('update target set v = -1 where k = 600; delete from target where k = 400');
    expect(await verifySync(room, sync)).toMatchObject({ different: 1, missing: 1, deduplicated: 500 });
  });

  test('rows that the target has refused, new ones or new versions, but no other row', async () => {
    await room.from.query('create table part (id integer primary key, name text)');
    await room.from.query(`insert into part select id, 'part ' || id from generate_series(1, 600) id`);
    await room.to.query(
      `create table target (id integer primary key, name text constraint no_13 check (name not like '%13'))`,
    );
    const sync = room.sync({ query: 'select * from part', key: ['id'], mode: 'upsert' });
    const limits = { limits: { rows: 100, bytes: 1 << 20, timeMs: 60_000, maxRejects: 10 } };
    await room.run(sync, limits);
    await room.from.query(`update part set name = 'now 13' where id = 99`);
    await room.run(sync, limits);
    expect(await verifySync(room, sync)).toMatchObject({
      ...alike,
      sourceRows: 600,
      destinationRows: 594,
      rejected: 7,
    });
    await room.to.query('delete from target where id = 14');
    expect(await verifySync(room, sync)).toMatchObject({ equal: false, missing: 1, rejected: 7 });
  });

  test('rows that a mirror has marked as deleted', async () => {
    await room.from.query('create table gone (id integer primary key)');
    await room.from.query('insert into gone select generate_series(1, 100)');
    const sync = await copied({ query: 'select * from gone', mode: 'mirror', softDelete: 'deleted_at' });
    await room.from.query('delete from gone where id <= 5');
    await room.run(sync);
    expect(await verifySync(room, sync)).toMatchObject({ ...alike, sourceRows: 95, destinationRows: 95 });
    await room.to.query('update target set deleted_at = now() where id = 50');
    expect(await verifySync(room, sync)).toMatchObject({ missing: 1 });
  });

  test('rows of the result that say that their key is gone', async () => {
    await room.from.query('create table buried (id integer primary key, gone boolean)');
    await room.from.query('insert into buried select i, i <= 5 from generate_series(1, 100) as i');
    const sync = await copied({ query: 'select * from buried', deletedWhen: 'gone' });
    expect(await verifySync(room, sync)).toMatchObject({ ...alike, sourceRows: 95, destinationRows: 95 });
    await room.to.query('insert into target values (5)');
    expect(await verifySync(room, sync)).toMatchObject({ extra: 1 });
  });
});

describe('verify', () => {
  test('writes nothing: it works where nothing can be written', async () => {
    const sync = await copied();
    for (const client of [room.from, room.to]) {
      const { rows: named } = await client.query<{ name: string }>('select current_database() as name');
      await client.query(`alter database "${named[0]!.name}" set default_transaction_read_only = on`);
    }
    const destination = room.openDestination();
    const report = await verifySync({ ...room, destination }, sync);
    await destination.close();
    for (const client of [room.from, room.to]) {
      const { rows: named } = await client.query<{ name: string }>('select current_database() as name');
      await client.query(`alter database "${named[0]!.name}" reset default_transaction_read_only`);
    }
    expect(report).toMatchObject(alike);
  });

  test('tells of a load in progress, and compares the one before it', async () => {
    const sync = await copied();
    await room.prepare(sync, newId('run'));
    expect(await verifySync(room, sync)).toMatchObject({ ...alike, unfinished: true });
    await room.destination.acceptLoad(sync.id);
  });

  test('stops at a signal, with what it has found', async () => {
    const sync = await copied();
    const stop = new AbortController();
    const report = await verifySync(room, sync, { signal: stop.signal, onProgress: () => stop.abort() });
    expect(report).toMatchObject({ equal: false, complete: false, ...nothing });
    expect(report.sourceRows).toBeLessThan(rows);
  });

  test('ends the statement that runs when the signal comes', async () => {
    const sync = await copied();
    await room.to.query('begin; lock table target');
    const stop = new AbortController();
    const verifying = verifySync(room, sync, { signal: stop.signal });
    const waiting = `select from pg_locks where not granted`;
    while ((await room.to.query(waiting)).rowCount === 0);
    stop.abort();
    expect(await verifying).toMatchObject({ complete: false });
    await room.to.query('rollback');
    expect((await room.to.query(waiting)).rowCount).toBe(0);
  });

  test('refuses before a load is done, and when the table is gone', async () => {
    const sync = room.sync({ query: 'select * from item', key: ['id'] });
    await expect(verifySync(room, sync)).rejects.toMatchObject({ code: 'CONFLICT' });
    const untouched = await createPipeRoom();
    await expect(verifySync(untouched, sync)).rejects.toMatchObject({ code: 'CONFLICT' });
    expect((await untouched.to.query(`select to_regnamespace('_penstock') as made`)).rows).toEqual([
      { made: null },
    ]);
    await untouched.close();
    await room.run(sync);
    await room.to.query('drop table target');
    await expect(verifySync(room, sync)).rejects.toMatchObject({ code: 'TARGET_MISMATCH' });
  });
});
