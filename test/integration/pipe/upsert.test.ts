/** Upsert: true counts, one row per key by a stated rule, and nothing rewritten that has not changed. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target cascade');
  await room.from.query('drop table if exists people');
  await room.from.query('create table people (id integer, name text, doc json, seen integer)');
});

const query = 'select * from people';
const people = (over: { query?: string } = {}) => room.sync({ query, key: ['id'], mode: 'upsert', ...over });
const fill = (from: number, to: number) =>
  room.from.query(
    `insert into people select i, 'name ' || i, '{"a": 1}', i from generate_series(${from}, ${to}) as i`,
  );
const expectEqual = async () =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));

test('inserted, updated and unchanged are counted, and unchanged rows are not touched', async () => {
  await fill(1, 100);
  const sync = people();
  expect(await room.run(sync)).toMatchObject({ read: 100, inserted: 100, updated: 0, unchanged: 0 });
  const before = await room.to.query('select id, ctid, xmin from target where id > 30 order by id');
  await room.from.query(`update people set name = 'changed' where id <= 10`);
  await room.from.query(`update people set doc = '{"a":1}' where id between 11 and 20`);
  await room.from.query(`update people set name = null where id between 21 and 30`);
  await fill(101, 105);
  expect(await room.run(sync)).toMatchObject({ read: 105, inserted: 5, updated: 30, unchanged: 70 });
  const after = await room.to.query(
    'select id, ctid, xmin from target where id between 31 and 100 order by id',
  );
  expect(after.rows).toEqual(before.rows);
  await expectEqual();
});

test('rows that are as they should be are not even locked: who holds them does not hold up a run', async () => {
  await fill(1, 100);
  const sync = people();
  await room.run(sync);
  await room.to.query('begin; select from target for update');
  expect(await room.run(sync)).toMatchObject({ read: 100, unchanged: 100 });
  await room.to.query('rollback');
});

test('what is there is found by its key: the target is not read from end to end for each batch', async () => {
  await fill(1, 10_000);
  const sync = people();
  await room.run(sync);
  await room.to.query('analyze target');
  const lookups = async (): Promise<number> =>
    (
      await room.to.query(
        `select idx_scan::int as n from pg_stat_user_tables where relid = 'public.target'::regclass`,
      )
    ).rows[0].n;
  const before = await lookups();
  expect(await room.run(sync)).toMatchObject({ unchanged: 10_000 });
  await waitUntil('that every key was looked up is known', async () => (await lookups()) - before >= 10_000);
});

test('counts are true when rows that are new, changed and unchanged come batch by batch', async () => {
  await fill(1, 40);
  const sync = people();
  await room.run(sync);
  await room.from.query(`update people set name = 'changed' where id between 11 and 20`);
  await room.from.query('update people set id = id - 1000 where id between 21 and 30');
  await fill(41, 60);
  const limits = { rows: 10, bytes: 1 << 20, timeMs: 60_000 };
  expect(await room.run(sync, { limits })).toMatchObject({ inserted: 30, updated: 10, unchanged: 20 });
  await room.to.query('delete from target where id between 21 and 30');
  await expectEqual();
});

test('a key with a NULL is refused, also where the rest of the key is unique by itself', async () => {
  await room.from.query('alter table people add primary key (id)');
  await room.from.query(`insert into people values (1, null), (2, 'x')`);
  await room.to.query('create table target (id integer, name text, unique (id, name))');
  const sync = room.sync({ query: 'select id, name from people', key: ['id', 'name'], mode: 'upsert' });
  await expect(room.run(sync)).rejects.toMatchObject({ code: 'KEY_NULL' });
  expect((await room.to.query('select from target')).rowCount).toBe(0);
});

test('a table of key columns only', async () => {
  await fill(1, 10);
  const sync = people({ query: 'select id from people' });
  await room.run(sync);
  await fill(11, 12);
  expect(await room.run(sync)).toMatchObject({ inserted: 2, unchanged: 10 });
});

describe('a key that comes twice', () => {
  beforeEach(async () => {
    await fill(1, 50);
    await room.from.query(
      `insert into people values (7, 'older', null, 1), (7, 'newest', null, 99), (7, 'a', null, 99)`,
    );
  });

  test('the greatest cursor wins, then the text that sorts last; the others are counted as deduplicated', async () => {
    const sync = room.sync({ query, key: ['id'], mode: 'upsert', cursor: { column: 'seen' } });
    expect(await room.run(sync)).toMatchObject({ read: 53, inserted: 50, deduplicated: 3 });
    expect((await room.to.query('select name from target where id = 7')).rows).toEqual([{ name: 'newest' }]);
  });

  test('the outcome is the same into a table that has rows: through staging from the start', async () => {
    const sync = people();
    await room.run(sync);
    const first = await rowsAsText(room.to, 'select * from target');
    expect(await room.run(sync)).toMatchObject({ read: 53, unchanged: 50, deduplicated: 3 });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(first);
  });

  test('also where only the target takes two keys for one, though the source has proven them different', async () => {
    await room.to.query(
      `create collation if not exists caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    await room.to.query('create table target (code text collate caseless primary key, seen integer)');
    await room.from.query(`drop table people; create table people (code text primary key, seen integer)`);
    await room.from.query(`insert into people values ('a', 1), ('A', 2), ('b', 3)`);
    const sync = room.sync({
      query: 'select * from people',
      key: ['code'],
      mode: 'upsert',
      cursor: { column: 'seen' },
    });
    expect(await room.run(sync)).toMatchObject({ read: 3, inserted: 2, deduplicated: 1 });
  });

  test('without the rule Postgres refuses it: 21000', async () => {
    await room.to.query('create table target (id integer primary key, name text)');
    const twice = `insert into target values (1, 'a'), (1, 'b') on conflict (id) do update set name = excluded.name`;
    await expect(room.to.query(twice)).rejects.toMatchObject({ code: '21000' });
  });
});

test('a first load that meets a row which is there sends that batch through staging', async () => {
  await fill(1, 50);
  const run = newId('run');
  const load = await room.prepare(people(), run);
  await room.to.query(`insert into target values (25, 'by hand')`);
  const result = await room.attempt(run, load, { limits: { rows: 20, bytes: 1 << 20, timeMs: 60_000 } });
  expect(result).toMatchObject({ outcome: 'finished', rows: 50 });
  const { receipt } = await room.destination.finish({ run, load: load.loadId });
  expect(receipt).toMatchObject({ read: 50, inserted: 49, updated: 1 });
  await expectEqual();
});

test('rows go straight in while all of them are new, and are merged where they are not; a wrong guess makes it wait', async () => {
  await fill(1, 10);
  const sync = people();
  await room.run(sync);
  await room.to.query(`insert into target values (45, 'by hand')`);
  await room.to.query(`create table written (n serial, straight boolean);
    create or replace function note() returns trigger language plpgsql as
      $$ begin insert into written (straight) values (current_query() !~ 'penstock_stage'); return null; end $$;
    create trigger note after insert on target for each statement execute function note()`);
  await fill(11, 75);
  const limits = { rows: 10, bytes: 1 << 20, timeMs: 60_000 };
  expect(await room.run(sync, { limits })).toMatchObject({
    read: 75,
    inserted: 64,
    updated: 1,
    unchanged: 10,
  });
  await expectEqual();
  const { rows } = await room.to.query('select straight from written order by n');
  const [merged, straight] = [false, true];
  expect(rows.map((row) => row.straight)).toEqual([
    merged, // what was there
    merged, // the first new ones
    straight,
    straight,
    merged, // 45 is met
    merged,
    merged,
    straight,
  ]);
  await room.to.query('drop table written');
});

describe('targets', () => {
  test('the key is the primary key of a table that is created', async () => {
    await room.run(people());
    const { rows } = await room.to.query(
      `select pg_get_constraintdef(oid) as def from pg_constraint where conrelid = 'target'::regclass and contype = 'p'`,
    );
    expect(rows).toEqual([{ def: 'PRIMARY KEY (id)' }]);
  });

  test.each([
    [
      'it has no unique index on the key',
      'create table target (id integer, name text, doc json, seen integer)',
    ],
    ['a column is missing', 'create table target (id integer primary key, name text, doc json)'],
    [
      'a column is narrower',
      'create table target (id smallint primary key, name text, doc json, seen integer)',
    ],
    ['a column would round', 'create table target (id integer primary key, name text, doc json, seen real)'],
    [
      'a column would parse',
      'create table target (id integer primary key, name text, doc jsonb, seen integer)',
    ],
    [
      'it needs a column that the result does not have',
      'create table target (id integer primary key, name text, doc json, seen integer, x integer not null)',
    ],
    [
      'it is a view, into which nobody looks',
      'create view target as select 1 as id, null::text as name, null::json as doc, 1 as seen where 1 / floor(random())::int = 1',
    ],
  ])('a target is refused when %s', async (_, ddl) => {
    await room.to.query('drop view if exists target');
    await room.to.query(ddl);
    await expect(room.prepare(people(), newId('run'))).rejects.toMatchObject({ code: 'TARGET_MISMATCH' });
    await room.to.query(ddl.includes('view') ? 'drop view target' : 'drop table target');
  });

  test('columns that hold every value unchanged are fine: wider integers, text', async () => {
    await fill(1, 10);
    await room.to.query(
      'create table target (id bigint primary key, name text, doc text, seen numeric, extra integer default 5)',
    );
    await room.run(people());
    const columns = 'select id, name, doc::text, seen from';
    expect(await rowsAsText(room.to, `${columns} target`)).toEqual(
      await rowsAsText(room.from, `${columns} people`),
    );
  });

  test('a sync that has moved to another table lets go of the one before, and a reset leaves it alone', async () => {
    await room.from.query(`insert into people values (1, 'x')`);
    const sync = people();
    await room.run(sync);
    const moved = {
      ...sync,
      spec: { ...sync.spec, destination: { ...sync.spec.destination, table: 'moved' } },
    };
    await room.run(moved);
    await room.destination.resetSync(sync.id, { deleteRows: true });
    const count = async (table: string) =>
      Number((await room.to.query(`select count(*) as rows from ${table}`)).rows[0].rows);
    expect(await count('moved')).toBe(0);
    expect(await count('target')).toBe(1);
    await room.prepare(people(), newId('run'));
    await room.to.query('drop table moved');
  });

  test('a sync that is released holds nothing any more: another may have its table, and its rows stay', async () => {
    await room.from.query(`insert into people values (1, 'x')`);
    const sync = room.sync({ query, key: ['id'], mode: 'mirror' });
    await room.run(sync);
    const load = await room.prepare(sync, newId('run'));
    await expect(room.prepare(people(), newId('run'))).rejects.toMatchObject({
      code: 'TARGET_OWNED',
      meta: { owner: sync.id },
    });
    await room.destination.releaseSync(sync.id);
    await room.destination.releaseSync(sync.id);
    await expect(room.destination.fetchLoad(load.loadId)).rejects.toMatchObject({ code: 'FENCED' });
    const left = await room.to.query(`select from pg_tables where tablename like 'seen_%'`);
    expect(left.rowCount).toBe(0);
    expect(await room.run(people())).toMatchObject({ read: 1, unchanged: 1 });
  });

  test('releasing makes nothing where nothing ever was', async () => {
    const fresh = await createPipeRoom();
    await fresh.destination.releaseSync(newId('sync'));
    expect((await fresh.to.query(`select to_regnamespace('_penstock') as there`)).rows).toEqual([
      { there: null },
    ]);
    await fresh.close();
  });

  test('two syncs cannot upsert one table, nor can an append join an upsert; appends may share', async () => {
    await room.prepare(people(), newId('run'));
    await expect(room.prepare(people(), newId('run'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
    const append = room.sync({ query, key: ['id'] });
    await expect(room.prepare(append, newId('run'))).rejects.toMatchObject({ code: 'TARGET_OWNED' });
    const shared = () => room.sync({ query, key: ['id'], table: 'shared' });
    await room.prepare(shared(), newId('run'));
    await room.prepare(shared(), newId('run'));
    await expect(
      room.prepare(room.sync({ query, key: ['id'], table: 'shared', mode: 'upsert' }), newId('run')),
    ).rejects.toMatchObject({
      code: expect.stringMatching(/TARGET_OWNED|TARGET_MISMATCH/),
    });
  });
});

describe('rows that are swallowed are found', () => {
  const swallow = async (when: string, event = 'insert') => {
    await room.to.query(`create or replace function swallow() returns trigger language plpgsql as
      $$ begin if new.id % 5 = 0 then return null; end if; return new; end $$`);
    await room.to.query(
      `create trigger swallow before ${event} on target for each row when (${when}) execute function swallow()`,
    );
  };

  test.each(['append', 'upsert'] as const)('%s: a trigger that drops rows', async (mode) => {
    await fill(1, 20);
    const sync = room.sync({ query, key: ['id'], mode });
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await swallow('true');
    await expect(room.attempt(run, load)).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual([]);
  });

  test('upsert through staging, where COPY’s own count does not tell', async () => {
    await fill(1, 10);
    const sync = people();
    await room.run(sync);
    await swallow('true');
    await fill(11, 20);
    await expect(room.run(sync)).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
  });

  test.each([
    ['upsert', {}],
    ['upsert', { softDelete: 'gone' }],
    ['mirror', {}],
  ] as const)('%s %j: an update that a trigger drops is no unchanged row', async (mode, more) => {
    await fill(1, 10);
    const sync = room.sync({ query, key: ['id'], mode, ...more });
    await room.run(sync);
    await swallow('true', 'update');
    expect(await room.run(sync)).toMatchObject({ unchanged: 10 });
    await room.from.query(`update people set name = 'changed' where id in (4, 5)`);
    await expect(room.run(sync)).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
  });

  test('not those that a trigger writes otherwise: they differ, and are written again each time', async () => {
    await fill(1, 10);
    const sync = people();
    await room.run(sync);
    await room.to.query(`create or replace function shout() returns trigger language plpgsql as
      $$ begin new.name = upper(new.name); return new; end $$`);
    await room.to.query('create trigger shout before update on target for each row execute function shout()');
    await room.from.query(`update people set name = 'changed' where id = 5`);
    for (let i = 0; i < 2; i++) expect(await room.run(sync)).toMatchObject({ updated: 1, unchanged: 9 });
  });
});

test('a deferred constraint fails in the batch, not at its COMMIT', async () => {
  await fill(1, 5);
  const run = newId('run');
  const load = await room.prepare(room.sync({ query, key: ['id'] }), run);
  await room.to.query('alter table target add constraint later unique (seen) deferrable initially deferred');
  await room.to.query('insert into target (id, seen) values (100, 3)');
  const attempt = room.attempt(run, load);
  await expect(attempt).rejects.toMatchObject({
    code: 'VALUE_REFUSED',
    message: expect.stringContaining('later'),
  });
});

test('an error names column and constraint and never a value', async () => {
  await fill(1, 5);
  await room.from.query(`update people set name = 'the secret name' where id = 3`);
  const run = newId('run');
  const load = await room.prepare(room.sync({ query, key: ['id'] }), run);
  await room.to.query(`alter table target add constraint no_secrets check (name <> 'the secret name')`);
  await expect(room.attempt(run, load)).rejects.toMatchObject({
    code: 'VALUE_REFUSED',
    message: expect.not.stringContaining('secret name'),
  });
});
