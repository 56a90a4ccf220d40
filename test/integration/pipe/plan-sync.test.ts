/** A plan says what a run would do and all that it would be refused for, and writes nothing. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Client } from 'pg';
import { planSync } from '../../../src/copy/plan-sync.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { SyncPlan } from '../../../src/domain/sync-plan.ts';
import type { SyncSpec } from '../../../src/domain/sync-spec.ts';
import { writeModeNames } from '../../../src/domain/write-modes.ts';
import { createHostGuard } from '../../../src/config/host-guard.ts';
import { createRowMemory } from '../../../src/copy/row-memory.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import {
  createPipeRoom,
  type Ends,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create table item (id integer primary key, name varchar(20), at timestamptz not null, note text);
     insert into item select id, 'item', now() - id * interval '1 s', null from generate_series(1, 1000) id;
     analyze item`,
  );
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target cascade'));

const query = 'select id, name, at from item';
const sync = (input: Partial<SyncInput> = {}): TestSync => room.sync({ query, key: ['id'], ...input });
const plan = ({ id, spec }: Pick<TestSync, 'id' | 'spec'>, ends: Ends = {}): Promise<SyncPlan> =>
  planSync(
    { source: room.source, destination: room.destination, ...ends },
    { sync: id, syncVersion: 1, spec },
  );
const changed = ({ id, spec }: TestSync, change: Partial<SyncSpec>) => ({ id, spec: { ...spec, ...change } });
const refusals = ({ refusals: all }: SyncPlan) => all.map(({ code, pointer }) => `${code} ${pointer}`);

describe('a plan tells', () => {
  test('how a new table is made and filled', async () => {
    expect(await plan(sync())).toEqual({
      ok: true,
      refusals: [],
      warnings: [],
      read: {
        reader: 'copy',
        format: 'binary',
        resumes: true,
        why: 'Rows come in the order of id, so an attempt goes on after the last batch that was committed.',
        order: ['id'],
        estimatedRows: 1_000,
        sorts: false,
      },
      key: {
        columns: ['id'],
        unique: true,
        mayBeNull: false,
        consequence: 'Proven to be unique: batches may be cut anywhere.',
      },
      columns: [
        {
          name: 'id',
          mapped: null,
          sourceType: 'integer',
          targetType: 'integer',
          conversion: 'created',
          textBecause: null,
        },
        {
          name: 'name',
          mapped: null,
          sourceType: 'character varying(20)',
          targetType: 'character varying(20)',
          conversion: 'created',
          textBecause: null,
        },
        {
          name: 'at',
          mapped: null,
          sourceType: 'timestamp with time zone',
          targetType: 'timestamp with time zone',
          conversion: 'created',
          textBecause: null,
        },
      ],
      target: {
        table: 'public.target',
        exists: false,
        estimatedRows: null,
        ddl: [
          'create table "public"."target" ("id" integer, "name" character varying(20), "at" timestamp with time zone)',
        ],
      },
      locks: [
        expect.objectContaining({ on: '_penstock.target' }),
        expect.objectContaining({ on: 'public.target', lock: 'ACCESS EXCLUSIVE' }),
        expect.objectContaining({ on: 'public.target', lock: 'ROW EXCLUSIVE' }),
      ],
      deletes: { expected: 0, why: 'append deletes nothing.' },
      cursor: null,
      unfinishedLoad: null,
    });
  });

  test('which columns change their type on the way, and why they travel as text', async () => {
    await room.to.query('create table target (id bigint primary key, name text, at timestamptz)');
    const { read, columns } = await plan(sync({ mode: 'upsert' }));
    expect(read).toMatchObject({ format: 'text' });
    expect(columns.map(({ conversion, textBecause }) => [conversion, textBecause])).toEqual([
      ['fits', 'the target has bigint'],
      ['fits', 'the target has text'],
      ['none', null],
    ]);
  });

  test('how columns are mapped', async () => {
    const columns = { rename: { name: 'title' }, cast: { id: 'bigint' }, hash: ['at'] };
    const told = await plan(changed(sync(), { columns }));
    expect(told.columns.map(({ name, mapped, sourceType }) => [name, mapped, sourceType])).toEqual([
      ['id', 'cast to bigint', 'bigint'],
      ['title', 'renamed from name', 'character varying(20)'],
      ['at', 'SHA-256 of at', 'text'],
    ]);
    const wrong = await plan(changed(sync(), { columns: { omit: ['nothing', 'name', 'nobody'] } }));
    expect(refusals(wrong)).toEqual(['BAD_REQUEST /columns/omit/0', 'BAD_REQUEST /columns/omit/2']);
  });

  test('that a query cannot be continued, and why', async () => {
    const { read, warnings, locks } = await plan(sync({ query: `${query} limit 10` }));
    expect(read).toMatchObject({ resumes: false, order: [], why: expect.stringContaining('it has LIMIT') });
    expect(warnings).toEqual([expect.stringContaining('read again')]);
    expect(locks.at(-1)!.when).toContain('publishes all rows at the end');
  });

  test.each([
    ['no, where an index gives the rows in order', { key: ['id'] }, false],
    ['yes, where none does', { key: ['name'] }, true],
    ['no, where they are read in any order', { key: ['name'], query: `${query} limit 10` }, false],
  ])('whether the source sorts: %s', async (_, over, sorts) => {
    expect((await plan(sync(over))).read).toMatchObject({ sorts });
  });

  test('that the source sorts for the key, and what a key that may repeat costs', async () => {
    const { read, warnings, key } = await plan(sync({ key: ['name'], mode: 'upsert' }));
    expect(read).toMatchObject({ sorts: true });
    expect(warnings).toEqual([expect.stringContaining('an index on it')]);
    expect(key).toMatchObject({
      unique: false,
      mayBeNull: true,
      consequence: expect.stringMatching(/one is written.*A NULL in it is refused/),
    });
  });

  test('what a mirror is expected to delete, as far as it can be known', async () => {
    await room.to.query(
      `create table target (id integer primary key, name text, at timestamptz);
       insert into target select i from generate_series(1, 1200) i; analyze target`,
    );
    expect(await plan(sync({ mode: 'mirror' }))).toMatchObject({ ok: true, deletes: { expected: 200 } });
    const fewer = await plan(sync({ mode: 'mirror', query: 'select id, name, at from item limit 5' }));
    expect(fewer.deletes).toMatchObject({ expected: 1_195, why: expect.stringContaining('20 %') });
  });

  test('whether a table is swapped or rewritten, and what forbids both', async () => {
    await room.to.query('create table target (id integer, name text, at timestamptz)');
    const lock = async (keepPrevious = false) => {
      const { locks, ok } = await plan(changed(sync({ mode: 'replace' }), { keepPrevious }));
      return [ok, locks.at(-1)!.lock];
    };
    expect(await lock()).toEqual([true, 'ACCESS EXCLUSIVE']);
    await room.to.query('create view report as select * from target');
    expect(await lock()).toEqual([true, 'SHARE ROW EXCLUSIVE']);
    const kept = await plan(changed(sync({ mode: 'replace' }), { keepPrevious: true }));
    expect(refusals(kept)).toEqual(['REPLACE_REFUSED /mode']);
    expect(kept.refusals[0]!.message).toContain('report');
  });

  test.each([
    'create unlogged table target (id integer primary key, name text, at timestamptz)',
    `create table target (id integer primary key, name text, at timestamptz) partition by range (id);
     create unlogged table part partition of target default`,
  ])('that a crash would empty what is not logged, which only a replacement makes good (%#)', async (sql) => {
    await room.to.query(sql);
    for (const mode of ['append', 'upsert', 'mirror'] as const) {
      const told = await plan(sync({ mode }));
      expect(refusals(told)).toEqual(['TARGET_MISMATCH /destination/table']);
      expect(told.refusals[0]!.message).toContain('not logged');
    }
    await expect(room.run(sync({ query: `${query} limit 1` }))).rejects.toMatchObject({
      code: 'TARGET_MISMATCH',
    });
    expect(await plan(sync({ mode: 'replace' }))).toMatchObject({ ok: true });
  });

  test('a column that the table would get, and the lock for it', async () => {
    await room.to.query('create table target (id integer primary key, name text)');
    const told = await plan(changed(sync({ mode: 'upsert' }), { onSchemaChange: 'add_columns' }));
    expect(told.target?.ddl).toEqual([expect.stringMatching(/^alter table .* add column "at"/)]);
    expect(told.locks).toContainEqual(
      expect.objectContaining({ on: 'public.target', lock: 'ACCESS EXCLUSIVE' }),
    );
  });

  test('nothing that would be done to a table that is refused', async () => {
    await room.to.query('create table target (id integer, name text)');
    const told = await plan(changed(sync({ mode: 'upsert' }), { onSchemaChange: 'add_columns' }));
    expect(refusals(told)).toEqual(['TARGET_MISMATCH /destination/table']);
    expect(told.target).toMatchObject({ exists: true, ddl: [] });
  });

  test('what becomes of the cursor', async () => {
    const events = sync({ mode: 'upsert', cursor: { column: 'at' } });
    const fate = async (change: Partial<SyncSpec> = {}) =>
      (await plan(changed(events, change))).cursor?.becomes;
    expect(await fate()).toBe('first');
    await room.run(events);
    expect(await fate()).toBe('kept');
    const source = { ...events.spec.source, query: `${query} where id > 0` };
    expect(await fate({ source })).toBe('reset');
    const refused = await plan(changed(events, { source, mode: 'append' }));
    expect([refused.cursor?.becomes, refusals(refused)]).toEqual(['refused', ['CURSOR_CHANGED null']]);
    await room.to.query('drop table target');
    expect(await fate()).toBe('reset');
    await expect(room.destination.fetchCursor(events.id, (await lastPlan(events))!)).resolves.toBeNull();
  });

  test('what becomes of a load that is unfinished', async () => {
    const other = { source: { connection: 'source', query: `${query} where id > 0` } };
    const fateOf = async (mode: SyncSpec['mode']) => {
      await room.to.query('drop table if exists target');
      const interrupted = sync({ mode });
      const run = newId('run');
      const load = await room.prepare(interrupted, run);
      let batches = 0;
      await room.attempt(run, load, {
        limits: { rows: 100, bytes: 1 << 20, timeMs: 60_000 },
        onProgress: () => void batches++,
        drain: () => batches > 1,
      });
      return [await plan(interrupted), await plan(changed(interrupted, other))] as const;
    };
    const [same, another] = await fateOf('append');
    expect(same).toMatchObject({ ok: true, unfinishedLoad: { rows: 100, becomes: 'continued' } });
    expect(another).toMatchObject({ ok: false, unfinishedLoad: { becomes: 'refused' } });
    expect(refusals(another)).toEqual(['UNFINISHED_LOAD null']);
    const [, given] = await fateOf('upsert');
    expect(given).toMatchObject({ ok: true, unfinishedLoad: { becomes: 'abandoned' } });
  });
});

const lastPlan = async ({ id }: TestSync) => (await room.destination.lastDoneLoad(id))?.plan;

describe('a plan tells every refusal', () => {
  test('of the spec, the query and the target at once, where a run meets the first of them', async () => {
    await room.to.query(
      `create table target (id integer, name varchar(5), extra integer not null, primary key (id, extra))`,
    );
    const wrong = sync({
      mode: 'upsert',
      key: ['id', 'nothing', 'nobody'],
      cursor: { column: 'id', lookback: '5m' },
    });
    const { refusals: all, ok } = await plan(wrong);
    expect(ok).toBe(false);
    expect(all.map(({ code, pointer, message }) => `${code} ${pointer} ${message}`)).toEqual([
      expect.stringContaining('NOT_RESUMABLE /key/1 The key column nothing'),
      expect.stringContaining('NOT_RESUMABLE /key/2 The key column nobody'),
      expect.stringContaining('BAD_REQUEST /cursor/lookback'),
      expect.stringMatching(/^TARGET_MISMATCH \/destination\/table .*no unique index on the key \(id\)/),
      expect.stringMatching(/^TARGET_MISMATCH \/destination\/table .*needs a value for the column extra/),
      expect.stringMatching(
        /^TARGET_MISMATCH \/destination\/table .*has no column at; it has character varying\(5\) for the column name/,
      ),
    ]);
    for (const { cure } of all) expect(cure).not.toBe('');
    await expect(room.run(wrong)).rejects.toMatchObject({ code: 'NOT_RESUMABLE', pointer: '/key/1' });
  });

  test('of both ends that cannot be reached', async () => {
    const nowhere = { ...room.sourceAccess, port: 9 };
    const ends = {
      source: openPostgresSource(nowhere, createRowMemory()),
      destination: room.openDestination({ access: { port: 9 } }),
    };
    expect(refusals(await plan(sync(), ends))).toEqual([
      'SOURCE_UNREACHABLE /source/connection',
      'DESTINATION_UNREACHABLE /destination/connection',
    ]);
  });

  test('of both ends that a connection may not reach', async () => {
    const { resolve } = createHostGuard([]);
    const ends = {
      source: openPostgresSource({ ...room.sourceAccess, resolve }, createRowMemory()),
      destination: room.openDestination({ access: { resolve } }),
    };
    expect(refusals(await plan(sync(), ends))).toEqual([
      'HOST_NOT_ALLOWED /source/connection',
      'HOST_NOT_ALLOWED /destination/connection',
    ]);
  });

  test('of a table that another sync owns', async () => {
    await room.run(sync({ mode: 'upsert' }));
    expect(refusals(await plan(sync({ mode: 'upsert' })))).toEqual(['TARGET_OWNED /destination/table']);
  });

  test('of a query that is not allowed, with what is wrong with the target beside it', async () => {
    await room.to.query('create view target as select 1 as id');
    const { refusals: all, target } = await plan(sync({ query: 'delete from item' }));
    expect(all.map(({ code }) => code)).toEqual(['QUERY_NOT_ALLOWED']);
    expect(target).toMatchObject({ table: 'public.target', exists: true });
    expect(refusals(await plan(sync()))).toContain('TARGET_MISMATCH /destination/table');
    await room.to.query('drop view target');
  });

  test('of a login that lacks rights', async () => {
    await room.to.query(`create role weak login password 'weak'`);
    const destination = room.openDestination({ access: { user: 'weak', password: 'weak' } });
    try {
      await room.to.query('create table target (id integer primary key, name text, at timestamptz)');
      await room.to.query('grant select, insert on target to weak; grant usage on schema _penstock to weak');
      await room.to.query('grant select on all tables in schema _penstock to weak');
      const { refusals: all } = await plan(sync({ mode: 'upsert' }), { destination });
      expect(all).toMatchObject([
        { code: 'DESTINATION_PERMISSION', message: expect.stringContaining('UPDATE') },
      ]);
      await room.to.query('drop table target');
      expect(refusals(await plan(sync(), { destination }))).toEqual([
        'DESTINATION_PERMISSION /destination/table',
      ]);
    } finally {
      await destination.close();
      await room.to.query('drop table if exists target; drop owned by weak; drop role weak');
    }
  });
});

describe('a plan', () => {
  /** Everything that the catalogs and _penstock say. */
  const stateOf = async (client: Client) => {
    const { rows: tables } = await client.query<{ name: string }>(
      `select format('_penstock.%I', tablename) as name from pg_tables where schemaname = '_penstock' order by 1`,
    );
    const catalogs = ['pg_class', 'pg_namespace', 'pg_attribute', 'pg_type'];
    const state: unknown[] = [];
    for (const name of [...catalogs, ...tables.map((each) => each.name)])
      state.push(
        (await client.query(`select t::text as row, xmin, ctid from ${name} as t order by ctid`)).rows,
      );
    return state;
  };

  test('writes nothing where nothing has been copied yet, and nothing can be written', async () => {
    const untouched = await createPipeRoom();
    await untouched.from.query('create table item as select 1 as id, now() as at');
    for (const client of [untouched.from, untouched.to]) {
      const { rows } = await client.query<{ name: string }>('select current_database() as name');
      await client.query(`alter database "${rows[0]!.name}" set default_transaction_read_only = on`);
    }
    const before = [await stateOf(untouched.from), await stateOf(untouched.to)];
    const { source, destination } = untouched;
    for (const mode of writeModeNames) {
      const { id, spec } = untouched.sync({ query: 'select * from item', key: ['id'], mode });
      expect((await planSync({ source, destination }, { sync: id, syncVersion: 1, spec })).ok).toBe(true);
    }
    expect([await stateOf(untouched.from), await stateOf(untouched.to)]).toEqual(before);
    await untouched.close();
  });

  test('writes nothing to what there is, whether it would be refused or not', async () => {
    const first = sync({ mode: 'upsert', cursor: { column: 'at' } });
    await room.run(first);
    await room.prepare(first, newId('run'));
    const before = await stateOf(room.to);
    for (const mode of writeModeNames) {
      await plan(sync({ mode }));
      await plan(changed(first, { mode }));
    }
    expect(await stateOf(room.to)).toEqual(before);
    await room.destination.acceptLoad(first.id);
  });

  test('of a run that goes on is no hindrance to it: a batch in hand is not ended', async () => {
    const running = sync({ mode: 'upsert' });
    const run = newId('run');
    const load = await room.prepare(running, run);
    const writer = await room.destination.takeLease({ run, load: load.loadId, partition: 1, epoch: '1' });
    await writer.begin();
    expect(await plan(running)).toMatchObject({ ok: true, unfinishedLoad: { becomes: 'continued' } });
    await writer.rollback();
    await writer.close();
    await room.destination.closeRun(run);
  });
});

test('a question about changes that the source refuses is told beside the rest of the plan', async () => {
  const found = await plan(changed(sync(), { skipIfUnchanged: 'select nothing from item' }));
  expect([refusals(found), found.read?.resumes]).toEqual([['SOURCE_SQL /skipIfUnchanged'], true]);
});
