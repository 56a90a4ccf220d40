/** Syncs that share a table, each with the rows of its scope: every mode writes, compares and deletes its own alone. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { planSync } from '../../../src/copy/plan-sync.ts';
import { newId } from '../../../src/domain/ids.ts';
import {
  createPipeRoom,
  nextEpoch,
  rowsAsText,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';
import { verifySync } from '../../support/verify-sync.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.to.query('create extension citext');
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query(
    'drop schema public cascade; create schema public; create extension if not exists citext',
  );
  for (const tenant of ['acme', 'globex']) {
    await room.from.query(`drop table if exists ${tenant}`);
    await room.from.query(
      `create table ${tenant} (id integer primary key, name text, gone boolean default false)`,
    );
    await fill(tenant, 1, 40);
  }
});

const fill = (tenant: string, from: number, to: number) =>
  room.from.query(
    `insert into ${tenant} select i, '${tenant} ' || i from generate_series(${from}, ${to}) as i`,
  );
const syncOf = (tenant: string, over: Partial<SyncInput> = {}): TestSync =>
  room.sync({ query: `select id, name from ${tenant}`, key: ['id'], scope: { tenant }, ...over });
const rowsOf = (tenant: string, where = 'true') =>
  rowsAsText(room.to, `select id, name from target where tenant = '${tenant}' and ${where}`);
const expectEqual = async (tenant: string, where?: string, of = 'true') =>
  expect(await rowsOf(tenant, where)).toEqual(
    await rowsAsText(room.from, `select id, name from ${tenant} where ${of}`),
  );
/** Where the rows lie and who has written them: what has not been touched keeps both. */
const versionsOf = async (tenant: string) =>
  (await room.to.query(`select ctid, xmin, xmax from target where tenant = $1 order by ctid`, [tenant])).rows;
const planOf = ({ id, spec }: TestSync) =>
  planSync({ source: room.source, destination: room.destination }, { sync: id, syncVersion: 1, spec });

const small = { limits: { rows: 15, bytes: 1 << 20, timeMs: 60_000 } };

test('a tenant that adds a column waits a moment for another’s batch, and is told of it; the batch goes on', async () => {
  const [acme, globex] = [syncOf('acme', { onSchemaChange: 'add_columns' }), syncOf('globex')];
  await room.run(acme);
  const run = newId('run');
  const load = await room.prepare(globex, run);
  const lease = { run, load: load.loadId, partition: 1, epoch: nextEpoch() };
  const writer = await room.destination.takeLease(lease);
  await writer.begin();
  await room.from.query('alter table acme add column weight integer');
  const wider = {
    ...acme,
    spec: { ...acme.spec, source: { ...acme.spec.source, query: 'select * from acme' } },
  };
  const quick = room.openDestination({ timeouts: { graceMs: 50 } });
  await expect(room.prepare(wider, newId('run'), { destination: quick })).rejects.toMatchObject({
    code: 'TARGET_LOCKED',
    message: expect.stringContaining(`could not be altered: session`),
  });
  await writer.commit({ keyHi: null, rows: 0, bytes: 0, final: true });
  await writer.close();
  await room.run(wider, { destination: quick });
  await quick.close();
});

describe('two tenants with the same keys share a table', () => {
  const created = (keyed: string) =>
    `create table target (tenant text not null, id integer, name text${keyed})`;

  const keyed: [string, Partial<SyncInput>][] = [
    ['upsert', { mode: 'upsert' }],
    ['mirror', { mode: 'mirror', limits: { maxDeletePercent: 50 } }],
    ['replace', { mode: 'replace', limits: { maxDeletePercent: 50 } }],
    [
      'mirror of a query that begins again',
      { mode: 'mirror', query: 'select id, name from acme limit 1000' },
    ],
  ];
  test.each(keyed)(
    '%s: each has what its query gives, and the other’s rows are not touched',
    async (name, over) => {
      await room.to.query(created(', primary key (id, tenant)'));
      // A trigger before each row makes an upsert look whether rows were swallowed: its own, too.
      await room.to
        .query(`create function pass() returns trigger language plpgsql as $$ begin return new; end $$;
      create trigger pass before insert or update on target for each row execute function pass()`);
      await room.run(syncOf('globex', { ...over, query: 'select id, name from globex' }), small);
      const acme = syncOf('acme', over);
      const theirs = await versionsOf('globex');
      expect(await room.run(acme, small)).toMatchObject({ read: 40, inserted: 40, deleted: 0 });
      await expectEqual('acme');
      await room.from.query(`update acme set name = 'new' where id <= 10; delete from acme where id > 35`);
      await fill('acme', 101, 102);
      const receipt = await room.run(acme, small);
      if (name.startsWith('mirror'))
        expect(receipt).toMatchObject({ inserted: 2, updated: 10, unchanged: 25, deleted: 5 });
      if (name === 'upsert')
        await room.to.query(`delete from target where tenant = 'acme' and id between 36 and 40`);
      await expectEqual('acme');
      expect(await versionsOf('globex')).toEqual(theirs);
    },
  );

  test('a row that the other has just so is new all the same', async () => {
    await room.to.query(created(', primary key (tenant, id)'));
    const query = 'select id, name from acme';
    for (const tenant of ['globex', 'acme'])
      expect(await room.run(syncOf(tenant, { mode: 'upsert', query }))).toMatchObject({ inserted: 40 });
  });

  test.each<[string, Partial<SyncInput>]>([
    ['append', { cursor: { column: 'id' } }],
    ['append of a query that begins again', { query: 'select id, name from acme limit 1000' }],
  ])('%s: rows are added in the scope, and no constraint of the target is passed by', async (_, over) => {
    await room.to.query(created(`, check (tenant <> 'acme' or name like 'acme%')`));
    await room.run(syncOf('globex'), small);
    const theirs = await versionsOf('globex');
    expect(await room.run(syncOf('acme', over), small)).toMatchObject({ read: 40, inserted: 40 });
    await expectEqual('acme');
    expect(await versionsOf('globex')).toEqual(theirs);
    await room.from.query(`insert into acme values (41, 'odd')`);
    await expect(room.run(syncOf('acme', over))).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
  });

  test('softDelete and deletedWhen mark and delete in the scope alone', async () => {
    await room.to.query(created(', deleted_at timestamptz, gone boolean, primary key (tenant, id)'));
    const query = (tenant: string) => `select id, name, gone from ${tenant}`;
    const mirror = (tenant: string) =>
      syncOf(tenant, {
        mode: 'mirror',
        softDelete: 'deleted_at',
        query: query(tenant),
        limits: { maxDeletePercent: 50 },
      });
    await room.run(mirror('globex'), small);
    const theirs = await versionsOf('globex');
    const acme = mirror('acme');
    await room.run(acme, small);
    await room.from.query('delete from acme where id <= 5');
    expect(await room.run(acme, small)).toMatchObject({ deleted: 5 });
    await expectEqual('acme', 'deleted_at is null');
    await room.destination.releaseSync(acme.id);
    await room.from.query('update acme set gone = true where id > 38');
    const upsert = syncOf('acme', { mode: 'upsert', deletedWhen: 'gone', query: query('acme') });
    expect(await room.run(upsert, small)).toMatchObject({ tombstones: 2, deleted: 2 });
    await expectEqual('acme', 'deleted_at is null', 'not gone');
    expect(await versionsOf('globex')).toEqual(theirs);
  });

  test('an attempt that stops is gone on with by the next, each row once', async () => {
    await room.to.query(created(', primary key (tenant, id)'));
    await room.run(syncOf('globex'), small);
    const run = newId('run');
    const load = await room.prepare(syncOf('acme'), run);
    await room.attempt(run, load, { ...small, yieldAfterMs: 0 });
    expect((await rowsOf('acme')).length).toBeLessThan(40);
    for (let outcome = 'yielded'; outcome !== 'finished';)
      ({ outcome } = await room.attempt(run, load, small));
    await room.destination.finish({ run, load: load.loadId });
    await expectEqual('acme');
  });

  test('rows that the target refuses are found one by one', async () => {
    await room.to.query(created(`, primary key (tenant, id), check (name <> 'acme 7')`));
    const limits = { ...small.limits, maxRejects: 1 };
    const over = { limits: { maxRejects: 1 } };
    expect(await room.run(syncOf('acme', over), { limits })).toMatchObject({ inserted: 39, rejected: 1 });
    await expectEqual('acme', 'true', 'id <> 7');
  });

  test('a replacement leaves rows of others alone that come while it waits, and is not held up by their writers', async () => {
    await room.to.query(created(''));
    const acme = syncOf('acme', { mode: 'replace' });
    await room.run(acme);
    const run = newId('run');
    const load = await room.prepare(acme, run);
    await room.attempt(run, load);
    await room.to.query(`begin; insert into target values ('globex', 1, 'in hand')`);
    await room.destination.finish({ run, load: load.loadId });
    await room.to.query('commit');
    await expectEqual('acme');
    expect(await rowsOf('globex')).toHaveLength(1);
  });
});

test('a replacement of a scope is refused where rows that refer to its rows may be others’ and would go with them', async () => {
  await room.to
    .query(`create table target (tenant text, id integer, name text, parent_tenant text, parent integer,
    primary key (tenant, id),
    foreign key (parent_tenant, parent) references target on delete cascade)`);
  const acme = syncOf('acme', { mode: 'replace' });
  await expect(room.run(acme)).rejects.toMatchObject({ code: 'REPLACE_REFUSED' });
  expect((await planOf(acme)).refusals).toMatchObject([{ code: 'REPLACE_REFUSED' }]);
});

test('a unique index by another collation than its column’s is none: to it other rows may be the same', async () => {
  await room.to.query(
    `create collation any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
  );
  await room.to.query('create table target (tenant text, id integer, name text)');
  await room.to.query('create unique index on target (tenant collate any_case, id)');
  const upsert = syncOf('acme', { mode: 'upsert' });
  await expect(room.run(upsert)).rejects.toMatchObject({
    code: 'TARGET_MISMATCH',
    message: expect.stringContaining('no unique index on the key (tenant, id) with the collations'),
  });
});

describe('what bounds a run is counted in the scope', () => {
  beforeEach(() =>
    room.to.query('create table target (tenant text, id integer, name text, primary key (tenant, id))'),
  );

  test.each(['mirror', 'replace'] as const)(
    '%s: as many of its rows may go, not of the table’s',
    async (mode) => {
      await fill('globex', 1_001, 2_000);
      await room.run(syncOf('globex', { mode }));
      const acme = syncOf('acme', { mode });
      await room.run(acme);
      await room.from.query('delete from acme where id > 20');
      await expect(room.run(acme)).rejects.toMatchObject({
        code: 'TOO_MANY_DELETES',
        meta: { wouldDelete: 20, of: 40 },
      });
    },
  );

  test('verify sees its rows alone', async () => {
    await room.run(syncOf('globex', { mode: 'upsert' }));
    const acme = syncOf('acme', { mode: 'upsert' });
    await room.run(acme);
    expect(await verifySync(room, acme)).toMatchObject({ equal: true, sourceRows: 40, destinationRows: 40 });
    await room.to.query(`update target set name = 'x' where tenant = 'acme' and id = 3`);
    await room.to.query(`update target set tenant = 'globex', id = 99 where tenant = 'acme' and id = 4`);
    expect(await verifySync(room, acme)).toMatchObject({ equal: false, different: 1, missing: 1, extra: 0 });
  });

  test('a reset tells and deletes its rows alone', async () => {
    await room.run(syncOf('globex', { mode: 'upsert' }));
    const acme = syncOf('acme', { mode: 'upsert' });
    await room.run(acme);
    expect(await room.destination.describeReset(acme.id)).toMatchObject({
      tables: [{ table: 'public.target', rows: 40, shared: false }],
    });
    await room.destination.resetSync(acme.id, { deleteRows: true });
    expect(await rowsOf('acme')).toEqual([]);
    await expectEqual('globex');
  });

  test('a reset refuses to delete rows that another append has written to the same scope', async () => {
    const [one, other] = [
      syncOf('acme', { key: [] }),
      syncOf('acme', { query: 'select id + 100 as id, name from acme' }),
    ];
    await room.run(one);
    await room.run(other);
    expect(await room.destination.describeReset(one.id)).toMatchObject({
      tables: [{ rows: 80, shared: true }],
    });
    await expect(room.destination.resetSync(one.id, { deleteRows: true })).rejects.toMatchObject({
      code: 'TARGET_OWNED',
    });
  });

  test('a plan guesses its rows, not the table’s', async () => {
    await fill('globex', 1_001, 2_000);
    await room.run(syncOf('globex', { mode: 'mirror' }));
    const acme = syncOf('acme', { mode: 'mirror' });
    await room.run(acme);
    await room.to.query('analyze target');
    const { target, deletes } = await planOf(acme);
    expect(target!.estimatedRows).toBeGreaterThan(20);
    expect(target!.estimatedRows).toBeLessThan(80);
    expect(deletes!.why).toContain('of its scope');
  });
});

describe('a table that is made', () => {
  test('has the columns of the scope, before the key', async () => {
    const sync = syncOf('acme', { mode: 'upsert', scope: { tenant: 'acme', shard: 7, live: true } });
    await room.run(sync);
    await expectEqual('acme', 'shard = 7 and live');
    const { rows } = await room.to.query(
      `select string_agg(attname || ' ' || format_type(atttypid, atttypmod) || case when attnotnull then '!' else '' end, ', ' order by attnum) as columns,
              (select pg_get_constraintdef(oid) from pg_constraint where conrelid = 'target'::regclass and contype = 'p') as key
         from pg_attribute where attrelid = 'target'::regclass and attnum > 0`,
    );
    expect(rows).toEqual([
      {
        columns: 'tenant text!, shard bigint!, live boolean!, id integer!, name text',
        key: 'PRIMARY KEY (tenant, shard, live, id)',
      },
    ]);
  });

  test('is the same for a second one that planned it as well, and takes its values by what it has become', async () => {
    const first = syncOf('acme', { scope: { tenant: 42 } });
    const second = syncOf('globex', { scope: { tenant: '042' } });
    const probe = await room.source.probe({
      query: 'select id, name from globex',
      key: ['id'],
      cursor: null,
    });
    const { target } = await room.destination.describeTarget({ schema: '', table: 'target' });
    await room.run(first);
    const { planLoad } = await import('../../../src/copy/plan-load.ts');
    const plan = planLoad({
      spec: second.spec,
      syncVersion: 1,
      probe,
      target: { target, columns: null },
    });
    const window = { low: null, high: null };
    const opened = room.destination.openLoad({
      run: newId('run'),
      sync: second.id,
      plan,
      window,
      partitions: [{}],
    });
    await expect(opened).rejects.toMatchObject({ code: 'TARGET_MISMATCH', pointer: '/scope/tenant' });
  });
});

describe('a scope is refused, by the plan as by the run,', () => {
  const keyed = 'tenant text not null, id integer not null, name text, unique (tenant, id)';
  test.each<[string, string | null, Partial<SyncInput>, string]>([
    [
      'when the query has a column of that name',
      null,
      { query: `select id, name, 'x' as tenant from acme` },
      'BAD_REQUEST /scope/tenant',
    ],
    ['when the target has no such column', 'id integer, name text', {}, 'TARGET_MISMATCH /scope/tenant'],
    [
      'by a type that prints one value in two ways',
      'tenant numeric, id integer, name text',
      {},
      'TARGET_MISMATCH /scope/tenant',
    ],
    [
      'by a type whose equality is another',
      'tenant citext, id integer, name text',
      {},
      'TARGET_MISMATCH /scope/tenant',
    ],
    [
      'by a value that the column prints otherwise',
      'tenant integer, id integer, name text',
      { scope: { tenant: '01' } },
      'TARGET_MISMATCH /scope/tenant',
    ],
    [
      'by a column that the target computes',
      `tenant text generated always as ('acme') stored, id integer, name text`,
      {},
      'TARGET_MISMATCH /scope/tenant',
    ],
    [
      'without an index on scope and key',
      'tenant text, id integer primary key, name text',
      { mode: 'upsert' },
      'TARGET_MISMATCH /destination/table',
    ],
    [
      'when the key is unique for all tenants only',
      `${keyed}, unique (id)`,
      { mode: 'upsert', scope: {} },
      'TARGET_MISMATCH /destination/table',
    ],
    [
      'by a collation that takes different texts for equal',
      `tenant text collate sloppy, id integer, name text`,
      {},
      'TARGET_MISMATCH /destination/table',
    ],
  ])('%s', async (_, columns, over, expected) => {
    await room.to.query(
      `create collation sloppy (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    if (columns !== null) await room.to.query(`create table target (${columns})`);
    const sync = syncOf('acme', over);
    const { refusals } = await planOf(sync);
    expect(refusals.map(({ code, pointer }) => `${code} ${pointer}`)).toContain(expected);
    const [code, pointer] = expected.split(' ');
    await expect(room.prepare(sync, newId('run'))).rejects.toMatchObject({ code, pointer });
  });

  test('a column of it that changes in mid-load stops the load before its next commit', async () => {
    await room.to.query(`create table target (${keyed})`);
    const run = newId('run');
    const load = await room.prepare(syncOf('acme', { mode: 'mirror' }), run);
    await room.to.query('alter table target alter column tenant type citext');
    await expect(room.attempt(run, load)).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
    expect(await rowsOf('acme')).toEqual([]);
  });
});
