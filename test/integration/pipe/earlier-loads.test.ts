/** What becomes of earlier loads: finished first, asked about, forgotten when they are over, and never before. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import {
  createPipeRoom,
  rowsAsText,
  type PipeRoom,
  type SyncInput,
  type TestSync,
} from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table events (id integer primary key, at timestamptz, note text)');
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target, elsewhere');
  await room.from.query('truncate events');
  await insert(1, 500);
});

const insert = (from: number, to: number) =>
  room.from.query(
    `insert into events select i, timestamptz '2024-01-01' + i * interval '1 hour', 'first' from generate_series(${from}, ${to}) as i`,
  );
const incremental = (more: Partial<SyncInput> = {}): TestSync =>
  room.sync({ query: 'select * from events', key: ['id'], cursor: { column: 'at', lag: '30s' }, ...more });
const idsIn = (table: string) => rowsAsText(room.to, `select id from ${table}`);

/** The same sync after its user has changed it. */
const changed = (sync: TestSync, more: Partial<SyncInput>): TestSync => ({
  ...sync,
  spec: incremental(more).spec,
});

/** A run that dies after so many of five batches. */
const beginRun = async (sync: TestSync, batches = 3): Promise<{ run: RunId; load: OpenLoad }> => {
  const run = newId('run');
  const load = await room.prepare(sync, run);
  let done = 0;
  await room.attempt(run, load, {
    limits: { rows: 100, bytes: 1 << 20, timeMs: 60_000 },
    onProgress: (progress) => void (done = progress.batches),
    drain: () => done >= batches,
  });
  await room.destination.closeRun(run);
  return { run, load };
};

describe('an unfinished load', () => {
  test.each([
    ['how long to wait for writers', {}, { cursor: { column: 'at', lag: '2s' } }],
    [
      'how far to look back',
      { mode: 'upsert' },
      { mode: 'upsert', cursor: { column: 'at', lag: '30s', lookback: '1m' } },
    ],
    ['the size of a batch', {}, { limits: { batchRows: 7 } }],
  ] as const)('is finished by a run that differs in %s', async (_, before, after) => {
    const sync = incremental(before);
    const { load } = await beginRun(sync);
    const next = newId('run');
    const found = await room.prepare(changed(sync, after), next);
    expect(found).toMatchObject({ loadId: load.loadId, continued: true });
    expect(await room.attempt(next, found)).toMatchObject({ outcome: 'finished', rows: 200 });
  });

  /** What the target's key column is, so that rows travel as text or binary. */
  const travels = [
    ['without COPY', 'cursor', 'bigint', 'text'],
    ['as text', 'copy', 'bigint', 'text'],
    ['as binary', 'copy', 'integer', 'binary'],
  ] as const;

  test.each(
    travels.flatMap((was, i) =>
      travels.map((is, j) => [`${was[0]} and now ${is[0]}`, was, is, i <= j] as const),
    ),
  )(
    'of rows that were read %s is finished where its own way is still possible',
    async (_, [, reader, type, format], [, readerNow, typeNow], isPossible) => {
      await room.to.query(`create table target (id ${type} primary key, at timestamptz, note text)`);
      const sync = room.sync({ query: 'select * from events', key: ['id'] }, reader);
      const { load } = await beginRun(sync);
      expect(load.plan).toMatchObject({ reader, format });
      await room.to.query(`alter table target alter id type ${typeNow}`);
      const next = newId('run');
      const found = room.prepare({ ...sync, reader: readerNow }, next);
      if (!isPossible) return expect(found).rejects.toMatchObject({ code: 'UNFINISHED_LOAD' });
      expect(await found).toMatchObject({ loadId: load.loadId, continued: true, plan: { reader, format } });
      expect(await room.attempt(next, load)).toMatchObject({ outcome: 'finished', rows: 200 });
    },
  );

  test.each([
    ['replace', 'create unique index on target (note)', 'update events set note = 2 where id = 1'],
    [
      'mirror',
      'create table child (id integer references target); insert into child values (1)',
      'delete from events where id = 1',
    ],
  ] as const)(
    '%s is given up where the target refuses to publish it, and everything is read anew',
    async (mode, refuseBy, spoil) => {
      const query = 'select * from events';
      const sync = room.sync({ query, key: ['id'], mode });
      await room.from.query('update events set note = id');
      await room.run(sync);
      await room.to.query(refuseBy);
      await room.from.query(spoil);
      await expect(room.run(sync)).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
      await room.from.query('delete from events where id = 1');
      await insert(1, 1);
      const run = newId('run');
      const { loadId: load } = await room.prepare(sync, run);
      await expect(room.destination.finish({ run, load })).rejects.toMatchObject({ code: 'FENCED' });
      expect(await room.run(sync)).toMatchObject({ read: 500 });
      expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));
      await room.to.query('drop table if exists child');
    },
  );

  test.each([
    ['upsert', 'select * from events'],
    ['mirror', 'select * from events'],
    ['replace', 'select * from events'],
    ['append', 'select * from events limit 500'],
  ] as const)(
    'is given up where its table is another by now, and nothing asks for it: %s',
    async (mode, query) => {
      const sync = room.sync({ query, key: ['id'], mode });
      const { load } = await beginRun(sync, 6);
      await room.to.query('alter table target rename to elsewhere');
      await room.to.query('create table target (id integer primary key, at timestamptz, note text)');
      const look = { sync: sync.id, plan: load.plan, keepPrevious: false, onSchemaChange: 'fail' } as const;
      expect((await room.destination.forecast(look)).unfinished).toMatchObject({ becomes: 'abandoned' });
      expect(await room.run(sync)).toMatchObject({ read: 500 });
      expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));
    },
  );

  test('of an append is the user’s to reset where its table is another by now', async () => {
    const sync = incremental();
    await beginRun(sync);
    await room.to.query('drop table target');
    await expect(room.run(sync)).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
    await room.destination.resetSync(sync.id, { deleteRows: false });
    expect(await room.run(sync)).toMatchObject({ read: 500 });
  });

  test('is described before it is reset: what it has committed, and what would be deleted', async () => {
    const sync = incremental();
    expect(await room.destination.describeReset(sync.id)).toEqual({
      unfinished: null,
      cursorMovedAt: null,
      tables: [],
    });
    await room.run(sync);
    await insert(501, 1000);
    const { load } = await beginRun(sync, 2);
    const preview = await room.destination.describeReset(sync.id);
    expect(preview).toMatchObject({
      unfinished: {
        loadId: load.loadId,
        mode: 'append',
        staged: false,
        committed: { read: 200, batches: 2 },
      },
      cursorMovedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      tables: [{ table: 'public.target', rows: 700, shared: false }],
    });
    await room.destination.resetSync(sync.id, { deleteRows: true });
    expect(await room.run(sync)).toMatchObject({ read: 1000 });
    expect(await idsIn('target')).toHaveLength(1000);
  });

  test('is looked at without a lock: who publishes it meanwhile goes on', async () => {
    const sync = incremental();
    const { load } = await beginRun(sync);
    const publisher = new Client({
      ...room.destinationAccess,
      application_name: `penstock:${load.loadId}:finish`,
    });
    await publisher.connect();
    await publisher.query('begin');
    await publisher.query('select from _penstock.load where id = $1 for update', [load.loadId]);
    const quick = room.openDestination({ timeouts: { graceMs: 10 } });
    for (let i = 0; i < 20; i++) await quick.describeReset(sync.id);
    expect((await publisher.query('select 1 as alive')).rows).toEqual([{ alive: 1 }]);
    await Promise.all([publisher.end(), quick.close()]);
  });
});

describe('a load that is gone on with is refused as a new one would be', () => {
  const scoped: Partial<SyncInput> = { mode: 'upsert', key: ['id'], scope: { tenant: 'acme' } };
  const noIndex = /has no unique index on the key \(tenant, id\) with the collations/;
  test.each([
    [
      'once its scope’s column takes different texts for equal',
      'alter column tenant type text collate any_case',
      /different texts of the column tenant for equal/,
    ],
    [
      'once its scope’s column is of another type',
      'alter column tenant type citext',
      /column tenant of the target is .*citext/,
    ],
    ['without the index of its key', 'drop constraint target_pkey', noIndex],
    [
      'with an index by another collation',
      'drop constraint target_pkey; create unique index on target (tenant collate any_case, id)',
      noIndex,
    ],
    ['once the table is not logged', 'set unlogged', /is not logged/],
  ])('%s', async (_, change, message) => {
    await room.to.query('create extension if not exists citext');
    await room.to.query(
      `create collation if not exists any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
    );
    const sync = incremental(scoped);
    await beginRun(sync);
    await room.to.query(`alter table target ${change}`);
    const run = newId('run');
    await expect(room.prepare(sync, run)).rejects.toMatchObject({
      code: 'TARGET_MISMATCH',
      message: expect.stringMatching(message),
    });
  });

  test('and goes on once the table is again as it was', async () => {
    const sync = incremental(scoped);
    const { load } = await beginRun(sync);
    await room.to.query('alter table target drop constraint target_pkey');
    await expect(room.prepare(sync, newId('run'))).rejects.toMatchObject({ code: 'TARGET_MISMATCH' });
    await room.to.query('alter table target add primary key (tenant, id)');
    expect(await room.prepare(sync, newId('run'))).toMatchObject({ loadId: load.loadId, continued: true });
    await room.run(sync);
    expect(await idsIn('target')).toHaveLength(500);
  });
});

describe('a cursor whose query has changed', () => {
  const query = `select id, at, note || '' as note from events`;

  test.each(['append', 'upsert'] as const)(
    'is kept when the user says so, for one change: %s',
    async (mode) => {
      const sync = incremental({ mode });
      await room.run(sync);
      await insert(501, 510);
      const other = changed(sync, { mode, query });
      if (mode === 'append') await expect(room.run(other)).rejects.toMatchObject({ code: 'CURSOR_CHANGED' });
      await room.destination.keepCursor(sync.id);
      expect(await room.run(other)).toMatchObject({ read: 10, inserted: 10 });
      expect(await room.run(other)).toMatchObject({ read: 0 });
      const third = changed(sync, { mode, query: `${query} where true` });
      if (mode === 'append') await expect(room.run(third)).rejects.toMatchObject({ code: 'CURSOR_CHANGED' });
      else expect(await room.run(third)).toMatchObject({ read: 510, unchanged: 510 });
    },
  );

  test('is kept for another table as well, which then gets only what is new', async () => {
    const sync = incremental();
    await room.run(sync);
    await insert(501, 510);
    await room.destination.keepCursor(sync.id);
    expect(await room.run(changed(sync, { table: 'elsewhere' }))).toMatchObject({ read: 10 });
    expect(await idsIn('elsewhere')).toHaveLength(10);
  });

  test('is nothing to be kept where there is none', async () => {
    const sync = incremental();
    await room.destination.keepCursor(sync.id);
    expect(await room.run(sync)).toMatchObject({ read: 500 });
  });
});

describe('a load that was closed long ago', () => {
  const count = async (table: string, load: OpenLoad, column = 'load') =>
    (await room.to.query(`select from _penstock.${table} where ${column} = $1`, [load.loadId])).rowCount;
  const details = async (load: OpenLoad) => [
    await count('checkpoint', load),
    await count('lease', load),
    await count('partition', load),
  ];
  const age = (load: OpenLoad, days: number) =>
    room.to.query(
      `update _penstock.load set closed_at = closed_at - interval '${days} days', opened_at = opened_at - interval '${days} days' where id = $1`,
      [load.loadId],
    );
  const shadowIsThere = async (load: OpenLoad) =>
    (await room.to.query('select to_regclass($1) is not null as is', [`_penstock."${load.loadId}"`])).rows[0]
      .is;

  /** A whole run, and its load. */
  const finishRun = async (sync: TestSync) => {
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await room.attempt(run, load);
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    await room.destination.closeRun(run);
    return { run, load, receipt };
  };

  test('loses its checkpoints, partitions and leases, and keeps its receipt', async () => {
    const { run, load, receipt } = await finishRun(incremental());
    await room.destination.cleanUp();
    expect(await details(load)).toEqual([1, 1, 1]);
    await age(load, 8);
    await room.destination.cleanUp();
    expect(await details(load)).toEqual([0, 0, 0]);
    expect(await room.destination.finish({ run, load: load.loadId })).toMatchObject({ receipt });
    expect(await room.destination.closeRun(run)).toMatchObject({ succeeded: true, receipt });
  });

  test('is forgotten with its runs after ninety days, once they are final', async () => {
    const { run, load } = await finishRun(incremental());
    await age(load, 91);
    await room.to.query(
      `update _penstock.run set final = false, first_seen_at = now() - interval '91 days' where id = $1`,
      [run],
    );
    await room.destination.cleanUp();
    expect(await count('load', load, 'id')).toBe(1);
    await room.destination.closeRun(run);
    await room.destination.cleanUp();
    expect(await count('load', load, 'id')).toBe(0);
    expect((await room.to.query('select from _penstock.run where id = $1', [run])).rowCount).toBe(0);
  });

  test.each([
    ['in the target', 'select * from events', 'append'],
    ['in a shadow', 'select * from events limit 500', 'append'],
    ['in a shadow to replace the target', 'select * from events', 'replace'],
    ['that is to be compared', 'select * from events', 'mirror'],
  ] as const)(
    'is told from one that is open, however old that is and whoever opened it: rows %s',
    async (_, query, mode) => {
      // No control database knows of this sync or its run; and nobody has looked at its load for two years.
      const sync = room.sync({ query, key: ['id'], mode });
      const { load } = await beginRun(sync);
      await room.to.query(`update _penstock.load set opened_at = now() - interval '2 years' where id = $1`, [
        load.loadId,
      ]);
      await room.to.query(
        `update _penstock.run set first_seen_at = now() - interval '2 years' where id in (select opened_by from _penstock.load)`,
      );
      await room.to.query(
        `update _penstock.checkpoint set committed_at = now() - interval '2 years' where load = $1`,
        [load.loadId],
      );
      await room.to.query('create table _penstock.unknown (id integer)');
      await room.destination.cleanUp();
      expect(await details(load)).toEqual([3, 1, 1]);
      expect(await room.run(sync)).toBeDefined();
      expect(new Set(await idsIn('target')).size).toBe(500);
      await room.to.query('drop table _penstock.unknown');
    },
  );

  test('is looked for among its rejects by an index: they may be many', async () => {
    await room.to.query('begin; set local enable_seqscan = off');
    const { rows } = await room.to.query<{ 'QUERY PLAN': string }>(
      `explain select id from _penstock.reject where case when stopped then last_seen_at else settled_at end < now() - interval '30 days'`,
    );
    await room.to.query('rollback');
    expect(rows.map((row) => row['QUERY PLAN']).join()).toContain('reject_over_since');
  });

  test('takes its shadow with it, if something has left one', async () => {
    const sync = room.sync({ query: 'select * from events limit 500', key: [] });
    const { load } = await beginRun(sync);
    await room.to.query(
      `update _penstock.load set phase = 'abandoned', closed_at = now() - interval '8 days' where id = $1`,
      [load.loadId],
    );
    expect(await shadowIsThere(load)).toBe(true);
    await room.destination.cleanUp();
    expect([await shadowIsThere(load), ...(await details(load))]).toEqual([false, 0, 0, 0]);
  });

  test('waits for the next time when somebody is working on it', async () => {
    const { load } = await finishRun(incremental());
    await age(load, 8);
    await room.to.query('begin');
    await room.to.query('select from _penstock.load where id = $1 for update', [load.loadId]);
    await room.destination.cleanUp();
    await room.to.query('commit');
    expect(await details(load)).toEqual([1, 1, 1]);
  });
});
