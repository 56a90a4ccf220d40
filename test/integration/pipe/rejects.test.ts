/** Rows that the target refuses: found in few tries, kept with their causes, exactly once, and never more than allowed. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import type { Destination } from '../../../src/ports/destination.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.destination.ensureSchema();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target cascade; drop table if exists parent');
  await room.to.query('truncate _penstock.reject');
  await room.from.query('drop table if exists people');
  await room.from.query('create table people (id integer primary key, name text, doc json)');
});

const query = 'select * from people';
const people = (over: Partial<SyncInput> = {}) => room.sync({ query, key: ['id'], ...over });
const fill = (rows: number) =>
  room.from.query(
    `insert into people select i, 'name ' || i, '{"a": 1}' from generate_series(1, ${rows}) as i`,
  );
const limits = (maxRejects: number, rows = 50_000) => ({
  limits: { rows, bytes: 16 << 20, timeMs: 60_000, maxRejects },
});
const rejects = async () => {
  const { rows } = await room.to.query(
    `select key, sqlstate, "column", "constraint", cause, "values", rows, attempts, stopped, settled_at is not null as settled
       from _penstock.reject order by id`,
  );
  return rows as Record<string, unknown>[];
};
const count = async (where = 'true') =>
  Number((await room.to.query(`select count(*) as n from target where ${where}`)).rows[0].n);

/** A destination that counts how often rows are tried. */
function counting(): { destination: Destination; tries: () => number } {
  let tries = 0;
  const destination: Destination = {
    ...room.destination,
    takeLease: async (request) => {
      const writer = await room.destination.takeLease(request);
      return new Proxy(writer, {
        get: (target, name) => {
          const member = Reflect.get(target, name, target) as unknown;
          if (name === 'writePart') tries++;
          return typeof member === 'function' ? member.bind(target) : member;
        },
      });
    },
  };
  return { destination, tries: () => tries };
}

describe.each(['append', 'upsert', 'mirror'] as const)('%s', (mode) => {
  const create = (more = '') =>
    room.to.query(`create table target (id integer primary key, name text, doc json${more})`);
  /** A binary result has no json column. */
  const binary = { query: 'select id, name from people', mode };

  test('the rows that a check refuses are left out, the others are there, and the receipt adds up', async () => {
    await fill(1_000);
    await create(`, constraint no_bad_names check (name not like '%13')`);
    const receipt = await room.run(people({ mode }), limits(10));
    expect(receipt).toMatchObject({ read: 1_000, inserted: 990, rejected: 10 });
    expect(await count()).toBe(990);
    expect(await count(`name like '%13'`)).toBe(0);
    const kept = await rejects();
    expect(kept.map(({ key }) => key)).toEqual(Array.from({ length: 10 }, (_, i) => [String(i * 100 + 13)]));
    expect(kept[0]).toMatchObject({
      sqlstate: '23514',
      column: null,
      constraint: 'no_bad_names',
      values: ['13', 'name 13', '{"a": 1}'],
      rows: 1,
      attempts: 1,
      stopped: false,
      settled: false,
    });
  });

  test('binary rows are separated as text rows are, and shown as text', async () => {
    await fill(500);
    await create(', check (id <> 77)');
    const sync = people(binary);
    const run = newId('run');
    const load = await room.prepare(sync, run);
    expect(load.plan.format).toBe('binary');
    await room.attempt(run, load, limits(1));
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 500, rejected: 1 });
    expect((await rejects()).map(({ key, values }) => ({ key, values }))).toEqual([
      { key: ['77'], values: ['77', 'name 77'] },
    ]);
    expect(await count()).toBe(499);
  });

  test('a row without a parent, which is found at the end of a statement only, is found', async () => {
    await fill(300);
    await room.to.query('create table parent (id integer primary key)');
    await room.to.query('insert into parent select generate_series(1, 299)');
    await create(', constraint has_parent foreign key (id) references parent deferrable initially deferred');
    expect(await room.run(people({ mode }), limits(1))).toMatchObject({ read: 300, rejected: 1 });
    expect(await rejects()).toMatchObject([{ key: ['300'], sqlstate: '23503', constraint: 'has_parent' }]);
  });

  test('a row that an exclusion constraint refuses says which, and nothing of the row that was there', async () => {
    await fill(10);
    await create(', constraint alone exclude using btree (name with =)');
    await room.to.query(`insert into target values (99, 'name 5')`);
    await room.run(people({ mode, limits: { maxDeletePercent: 100 } }), limits(1));
    expect(await rejects()).toMatchObject([
      { key: ['5'], sqlstate: '23P01', constraint: 'alone', cause: expect.stringMatching(/"alone"$/) },
    ]);
  });

  test('k bad rows of n cost O(k log n) tries, also where the server does not name them', async () => {
    const [n, bad] = [4_096, [1, 1_000, 2_222, 4_096]];
    await fill(n);
    await room.to.query('create table parent (id integer primary key)');
    await room.to.query(`insert into parent select i from generate_series(1, ${n}) as i`);
    await room.to.query(`delete from parent where id = any ($1)`, [bad]);
    await create(', foreign key (id) references parent');
    const { destination, tries } = counting();
    await room.run(people({ mode }), { ...limits(bad.length), destination });
    expect((await rejects()).map(({ key }) => key)).toEqual(bad.map((id) => [String(id)]));
    expect(tries()).toBeLessThanOrEqual(2 * bad.length * (Math.log2(n) + 1));
  });

  test('one more than maxRejects stops the run: nothing of its batch is there, and why is named without a value', async () => {
    await fill(1_000);
    await create(`, constraint no_bad_names check (name not like '%13')`);
    const run = newId('run');
    const load = await room.prepare(people({ mode }), run);
    const failed = room.attempt(run, load, limits(9));
    await expect(failed).rejects.toMatchObject({
      code: 'VALUE_REFUSED',
      message: expect.stringMatching(
        /more rows were refused than maxRejects \(9\).*SQLSTATE 23514, constraint no_bad_names.*_penstock.reject/,
      ),
    });
    await expect(failed).rejects.toMatchObject({ message: expect.not.stringContaining('name 13') });
    expect(await count()).toBe(0);
    expect((await rejects()).filter(({ stopped }) => stopped)).toHaveLength(10);
    expect(
      (await room.to.query('select from _penstock.checkpoint where load = $1', [load.loadId])).rows,
    ).toEqual([]);
  });

  test('the limit is the load’s: rejects of its earlier batches and attempts count', async () => {
    await fill(100);
    await create(', check (id not in (5, 95))');
    const run = newId('run');
    const load = await room.prepare(people({ mode }), run);
    await expect(room.attempt(run, load, limits(1, 10))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(await count()).toBe(89);
    await expect(room.attempt(run, load, limits(1, 10))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(await room.attempt(run, load, limits(2, 10))).toMatchObject({ outcome: 'finished', rows: 10 });
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 100, rejected: 2 });
    expect((await rejects()).map(({ key, stopped }) => ({ key, stopped }))).toEqual([
      { key: ['5'], stopped: false },
      { key: ['95'], stopped: false },
    ]);
  });

  test('without a limit given the first refused row stops the run, and can be seen', async () => {
    await fill(100);
    await create(', check (id <> 42)');
    await expect(room.run(people({ mode }))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(await rejects()).toMatchObject([{ key: ['42'], stopped: true }]);
  });

  test('what refuses no row by itself is no reject: a trigger’s own error stops the run at once', async () => {
    await fill(10);
    await create();
    await room.to.query(`create or replace function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'not today'; end $$`);
    await room.to.query(
      'create trigger refuse before insert on target for each row execute function refuse()',
    );
    await expect(room.run(people({ mode }), limits(10))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(await rejects()).toEqual([]);
  });

  test('a later load of everything settles what it could write, and counts another attempt for what it could not', async () => {
    await fill(50);
    await create(', constraint positive check (id not in (7, 8))');
    const sync = people({ mode });
    await room.run(sync, limits(2));
    await room.to.query('truncate target; alter table target drop constraint positive, add check (id <> 8)');
    expect(await room.run(sync, limits(2))).toMatchObject({ read: 50, rejected: 1 });
    expect(await rejects()).toMatchObject([
      { key: ['7'], settled: true, attempts: 1, values: null },
      { key: ['8'], settled: false, attempts: 2 },
    ]);
  });
});

test('rows of one key that a unique index of the target tells apart no more are refused together, by its name', async () => {
  await room.from.query('create table log (id integer, name text)');
  await room.from.query(`insert into log select i, 'n' from generate_series(1, 100) as i`);
  await room.from.query(`insert into log values (40, 'again')`);
  await room.to.query('create table target (id integer constraint one_each primary key, name text)');
  const sync = room.sync({ query: 'select * from log', key: ['id'] });
  expect(await room.run(sync, limits(2))).toMatchObject({ read: 101, inserted: 99, rejected: 2 });
  expect(await rejects()).toMatchObject([
    { key: ['40'], rows: 2, sqlstate: '23505', constraint: 'one_each' },
  ]);
  expect(await count('id = 40')).toBe(0);
  await room.from.query('drop table log');
});

test('beside a refused row, rows of one key are merged as they would be without it', async () => {
  await room.from.query('alter table people drop constraint people_pkey');
  await room.from.query(`insert into people values (1, 'a'), (1, 'b'), (2, 'bad'), (3, 'c')`);
  await room.to.query(`create table target (id integer primary key, name text check (name <> 'bad'))`);
  const sync = people({ query: 'select id, name from people', mode: 'upsert' });
  expect(await room.run(sync, limits(1))).toMatchObject({ inserted: 2, deduplicated: 1, rejected: 1 });
  expect(await count(`name in ('b', 'c')`)).toBe(2);
});

describe('a mirror', () => {
  const names = async () => (await room.to.query('select id, name from target order by id')).rows;

  test.each([
    ['that can be resumed', 'select id, name from people'],
    ['that begins again', 'select id, name from people limit 1000'],
  ])('of a query %s does not delete the row whose new version was refused', async (_, query) => {
    await fill(3);
    const sync = people({ mode: 'mirror', query, limits: { maxDeletePercent: 100 } });
    await room.run(sync);
    await room.to.query(`alter table target add constraint short check (length(name) < 10)`);
    await room.from.query(
      `update people set name = 'a long, long name' where id = 2; delete from people where id = 3`,
    );
    expect(await room.run(sync, limits(1))).toMatchObject({ read: 2, unchanged: 1, rejected: 1, deleted: 1 });
    expect(await names()).toEqual([
      { id: 1, name: 'name 1' },
      { id: 2, name: 'name 2' },
    ]);
  });
});

describe('a query that cannot be resumed', () => {
  const unordered = () => people({ query: `${query} limit 1000`, key: [] });

  test('its rejects are told by their values alone, and are not published', async () => {
    await fill(200);
    await room.to.query('create table target (id integer, name text, doc json, check (id <> 150))');
    expect(await room.run(unordered(), limits(1, 20))).toMatchObject({
      read: 200,
      inserted: 199,
      rejected: 1,
    });
    expect(await rejects()).toMatchObject([{ key: null, values: ['150', 'name 150', '{"a": 1}'] }]);
    expect(await count()).toBe(199);
  });

  test('when it begins again, a row is rejected once', async () => {
    await fill(200);
    await room.to.query('create table target (id integer, name text, doc json, check (id <> 15))');
    const run = newId('run');
    const load = await room.prepare(unordered(), run);
    let batches = 0;
    const half = await room.attempt(run, load, {
      ...limits(1, 20),
      onProgress: (progress) => void (batches = progress.batches),
      drain: () => batches >= 5,
    });
    expect(half).toMatchObject({ outcome: 'yielded', rows: 100 });
    expect(await room.attempt(run, load, limits(1, 20))).toMatchObject({ outcome: 'finished', rows: 200 });
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 200, inserted: 199, rejected: 1 });
    expect(await rejects()).toHaveLength(1);
  });
});

test('an upsert that begins again counts on, and settles what it rejects no more', async () => {
  await fill(200);
  await room.to.query(
    'create table target (id integer primary key, name text, doc json, constraint no_15 check (id <> 15), check (id <> 16))',
  );
  const sync = people({ query: `${query} limit 1000`, mode: 'upsert' });
  await room.run(sync, limits(2, 20));
  const run = newId('run');
  const load = await room.prepare(sync, run);
  let batches = 0;
  const onProgress = (progress: { batches: number }) => void (batches = progress.batches);
  await room.attempt(run, load, { ...limits(2, 20), onProgress, drain: () => batches >= 5 });
  await room.to.query('alter table target drop constraint no_15');
  await room.attempt(run, load, limits(2, 20));
  await room.destination.finish({ run, load: load.loadId });
  expect(await rejects()).toMatchObject([
    { key: ['15'], attempts: 2, settled: true },
    { key: ['16'], attempts: 3, settled: false },
  ]);
});

test('a row that another load has written is refused by the target’s key', async () => {
  await fill(100);
  await room.to.query(
    'create table target (id integer constraint one_each primary key, name text, doc json)',
  );
  await room.to.query(`insert into target values (50, 'by hand')`);
  expect(await room.run(people(), limits(1))).toMatchObject({ inserted: 99, rejected: 1 });
  expect(await rejects()).toMatchObject([{ key: ['50'], sqlstate: '23505', constraint: 'one_each' }]);
});

test('are listed with their columns, page by page, and what is settled when it is asked for', async () => {
  await fill(30);
  await room.to.query(
    'create table target (id integer primary key, name text, doc json, check (id not in (3, 9)))',
  );
  const sync = people({ mode: 'upsert' });
  await room.run(sync, limits(2));
  const list = (page: { limit: number; after?: string; settled?: boolean }) =>
    room.destination.listRejects(sync.id, { settled: false, ...page });
  const first = await list({ limit: 1 });
  expect(first.items).toMatchObject([{ key: ['3'], columns: ['id', 'name', 'doc'], state: 'open' }]);
  const second = await list({ limit: 1, after: first.next! });
  expect(second).toMatchObject({ items: [{ key: ['9'] }], next: null });
  await room.to.query('alter table target drop constraint target_id_check');
  await room.run(sync);
  expect(await list({ limit: 10 })).toEqual({ items: [], next: null });
  expect((await list({ limit: 10, settled: true })).items).toMatchObject([
    { state: 'settled', values: null },
    { state: 'settled', values: null },
  ]);
});

test('are forgotten thirty days after they are settled or have stopped a run; one that is open stays, with its load', async () => {
  await fill(30);
  const create = (check: string) =>
    room.to.query(`create table target (id integer primary key, name text, doc json, check (${check}))`);
  await create('id not in (3, 9)');
  const sync = people({ mode: 'upsert' });
  await room.run(sync, limits(2));
  await room.to.query('drop table target');
  await create('id <> 9');
  await room.run(sync, limits(1));
  await room.to.query('drop table target');
  await create('id <> 4');
  const run = newId('run');
  await expect(room.attempt(run, await room.prepare(sync, run))).rejects.toMatchObject({
    code: 'VALUE_REFUSED',
  });
  const left = async () => {
    await room.destination.cleanUp();
    return (await rejects()).map(({ key, settled }) => `${String(key)} ${settled ? 'settled' : 'open'}`);
  };
  const age = (days: number) =>
    room.to.query(
      `update _penstock.reject set last_seen_at = now() - interval '1 day' * $1,
      first_seen_at = now() - interval '1 day' * $1, settled_at = case when settled_at is not null then now() - interval '1 day' * $1 end`,
      [days],
    );
  await age(29);
  expect(await left()).toEqual(['3 settled', '9 open', '4 open']);
  await age(31);
  expect(await left()).toEqual(['9 open']);
  await room.to.query(
    `update _penstock.load set closed_at = now() - interval '100 days' where phase = 'done' and sync = $1`,
    [sync.id],
  );
  for (const _ of [1, 2]) await room.destination.cleanUp();
  const { items } = await room.destination.listRejects(sync.id, { limit: 9, settled: true });
  expect(items).toMatchObject([{ key: ['9'], columns: ['id', 'name', 'doc'] }]);
});

test('no value is kept in an error: neither of the row nor of what the server says of it', async () => {
  await fill(10);
  await room.to.query('create table target (id integer primary key, name text, doc json)');
  await room.to.query(`insert into target values (5, 'x')`);
  const error = await room.run(people()).catch((thrown: unknown) => thrown);
  expect(JSON.stringify(error)).not.toMatch(/name 5|\(5\)/);
  expect((await rejects())[0]).toMatchObject({ cause: expect.stringContaining('(id)=(5)') });
});

test('the rows there are those that were not refused, in every mode and batch size', async () => {
  await fill(2_000);
  for (const mode of ['append', 'upsert', 'mirror'] as const) {
    await room.to.query('drop table if exists target');
    await room.to.query(
      'create table target (id integer primary key, name text, doc json, check (id % 97 <> 0))',
    );
    await room.run(people({ mode }), limits(20, 150));
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(
      await rowsAsText(room.from, `${query} where id % 97 <> 0`),
    );
  }
});
