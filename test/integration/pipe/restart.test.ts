/**
 * Queries that cannot be resumed. An append of one waits in a shadow and is published all at once; an attempt that ends
 * early is begun again, and nothing of it shows. An upsert needs no shadow: what it wrote is written again by key.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import {
  createPipeRoom,
  nextEpoch,
  rowsAsText,
  type AttemptOptions,
  type PipeRoom,
  type TestSync,
} from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text not null)');
  await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 1000) as i`);
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target cascade'));

const limits = { rows: 100, bytes: 1 << 20, timeMs: 60_000 };
const unordered = 'select id, label from numbers limit 1000';

/** An attempt that ends after so many batches. */
const attemptUntil = (run: RunId, load: OpenLoad, last: number, options: AttemptOptions = {}) => {
  let batches = 0;
  return room.attempt(run, load, {
    limits,
    onProgress: (progress) => void (batches = progress.batches),
    drain: () => batches >= last,
    ...options,
  });
};

const targetRows = () => rowsAsText(room.to, 'select id, label from target');
const sourceRows = () => rowsAsText(room.from, 'select id, label from numbers');

/** Of a load that is closed nothing is left beside the rows that tell of it. */
const expectNothingLeft = async () => {
  const { rows } = await room.to.query(
    `select relname from pg_class join _penstock.load on id = relname where phase in ('done', 'abandoned')`,
  );
  expect(rows).toEqual([]);
  const leases = await room.to.query(
    `select from _penstock.lease join _penstock.load on id = load where run is not null and phase in ('done', 'abandoned')`,
  );
  expect(leases.rowCount).toBe(0);
};

describe('an append of a query that cannot be resumed', () => {
  let sync: TestSync;
  let run: RunId;
  let load: OpenLoad;
  beforeEach(async () => {
    sync = room.sync({ query: unordered, key: ['id'] });
    run = newId('run');
    load = await room.prepare(sync, run);
  });
  const finish = () => room.destination.finish({ run, load: load.loadId });

  test.each([
    ['LIMIT', unordered, ['id']],
    ['no key at all', 'select id, label from numbers', []],
    ['TABLESAMPLE', 'select id, label from numbers tablesample bernoulli (100)', ['id']],
    ['a volatile function', `select id, label from numbers where random() >= 0`, ['id']],
    ['a key of a type that is not exact', 'select id, label, id::float8 as f from numbers', ['f']],
  ])('arrives whole: %s', async (_, query, key) => {
    await room.to.query('drop table target');
    expect(await room.run(room.sync({ query, key }))).toMatchObject({ read: 1000, inserted: 1000 });
    expect(await targetRows()).toEqual(await sourceRows());
    await expectNothingLeft();
  });

  test('shows nothing before it is whole, and then everything', async () => {
    await attemptUntil(run, load, 5);
    expect(await targetRows()).toEqual([]);
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'finished', rows: 1000 });
    expect(await targetRows()).toEqual([]);
    expect(await finish()).toMatchObject({ receipt: { read: 1000, inserted: 1000, batches: 11 } });
    expect(await targetRows()).toEqual(await sourceRows());
  });

  test('begins again with every attempt: rows and checkpoints of the one before are gone', async () => {
    for (const last of [3, 7]) expect(await attemptUntil(run, load, last)).toMatchObject({ batches: last });
    const { rows } = await room.to.query(
      `select count(*)::int as rows, (select max(batch) from _penstock.checkpoint where load = $1) as batch from _penstock."${load.loadId}"`,
      [load.loadId],
    );
    expect(rows).toEqual([{ rows: 700, batch: 7 }]);
    await room.attempt(run, load, { limits });
    await finish();
    expect(await targetRows()).toEqual(await sourceRows());
  });

  test('does not begin again when its end is there: only the publishing is missing', async () => {
    await room.attempt(run, load, { limits });
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'finished', rows: 0 });
    await finish();
    expect(await targetRows()).toEqual(await sourceRows());
  });

  test('ends a frozen attempt that is still in a batch, and takes its rows back', async () => {
    const quick = room.openDestination({ timeouts: { graceMs: 50 } });
    const lease = () => ({ run, load: load.loadId, partition: 1, epoch: nextEpoch() });
    const zombie = await quick.takeLease(lease());
    await zombie.begin();
    await zombie.commit({ keyHi: [], rows: 0, bytes: 0, final: false });
    await zombie.begin();
    const replacement = await quick.takeLease(lease());
    expect(replacement.checkpoint).toBeNull();
    await expect(zombie.commit({ keyHi: [], rows: 0, bytes: 0, final: false })).rejects.toThrow();
    await Promise.all([zombie.close(), replacement.close()]);
    await quick.close();
  });

  test('is published once, however often it is asked to finish', async () => {
    await room.attempt(run, load, { limits });
    const others = Array.from({ length: 4 }, () => room.openDestination());
    const receipts = await Promise.all(others.map((each) => each.finish({ run, load: load.loadId })));
    await Promise.all(others.map((each) => each.close()));
    for (const receipt of receipts) expect(receipt).toEqual(receipts[0]);
    expect(await targetRows()).toEqual(await sourceRows());
  });

  test('publishes nothing of what the target refuses, and all of it once that is mended, without reading again', async () => {
    await room.to.query('alter table target add unique (label)');
    await room.to.query(`insert into target values (0, 'row 500')`);
    await room.attempt(run, load, { limits });
    await expect(finish()).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
    expect(await targetRows()).toHaveLength(1);
    await room.destination.closeRun(run);
    await room.to.query('delete from target');
    const next = newId('run');
    const again = await room.prepare(sync, next);
    expect(again).toMatchObject({ loadId: load.loadId, continued: true });
    expect(await room.attempt(next, again)).toMatchObject({ outcome: 'finished', rows: 0 });
    await room.destination.finish({ run: next, load: load.loadId });
    expect(await targetRows()).toEqual(await sourceRows());
  });

  test('finds a trigger of the target that swallows rows when it publishes', async () => {
    await room.to.query(`create or replace function swallow() returns trigger language plpgsql as
      'begin return case when new.id = 500 then null else new end; end'`);
    await room.to.query(
      'create trigger swallow before insert on target for each row execute function swallow()',
    );
    await room.attempt(run, load, { limits });
    await expect(finish()).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
    expect(await targetRows()).toEqual([]);
  });

  test('is not published into a table that was put in the place of its target', async () => {
    await room.attempt(run, load, { limits });
    await room.to.query('alter table target rename to elsewhere');
    await room.to.query('create table target (id integer, label text)');
    await expect(finish()).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
    expect(await targetRows()).toEqual([]);
    await room.to.query('drop table elsewhere');
  });

  test('is abandoned without asking when its plan has changed, for nothing of it can be seen', async () => {
    await attemptUntil(run, load, 3);
    const changed = {
      ...sync,
      spec: { ...sync.spec, source: { ...sync.spec.source, query: `${unordered} ` } },
    };
    expect(await room.run(changed)).toMatchObject({ read: 1000 });
    expect(await targetRows()).toEqual(await sourceRows());
    await expectNothingLeft();
  });

  test('is gone with its shadow when the sync is reset', async () => {
    await attemptUntil(run, load, 3);
    await room.destination.resetSync(sync.id, { deleteRows: false });
    await expectNothingLeft();
    expect(await attemptUntil(run, load, 3)).toMatchObject({ outcome: 'fenced' });
  });

  test('holds no transaction open at the destination while its query takes its time', async () => {
    await room.from.query('select pg_advisory_lock(7)');
    const query = `select id, rpad(label, 400) as label from numbers where id <= 500 or pg_advisory_xact_lock_shared(7) is not null`;
    const slow = newId('run');
    const opened = await room.prepare(room.sync({ query, key: [], table: 'slow' }), slow);
    const copied = room.attempt(slow, opened, { limits: { ...limits, timeMs: 20 } });
    const open = `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and xact_start is not null`;
    await waitUntil('the rows before the slow one', async () => {
      const { rows } = await room.to.query(
        'select sum(rows)::int as n from _penstock.checkpoint where load = $1',
        [opened.loadId],
      );
      return rows[0].n > 400 && (await room.to.query(open)).rowCount === 0;
    });
    await room.from.query('select pg_advisory_unlock(7)');
    expect(await copied).toMatchObject({ outcome: 'finished', rows: 1000 });
    await room.to.query('drop table slow');
  });

  test('is read in the window of its cursor, which moves when it is published', async () => {
    const incremental = room.sync({
      query: 'select id, label from numbers where random() >= 0',
      key: [],
      cursor: { column: 'id' },
    });
    expect(await room.run(incremental)).toMatchObject({ read: 1000 });
    await room.from.query(`insert into numbers values (1001, 'new')`);
    expect(await room.run(incremental)).toMatchObject({ read: 1 });
    expect(await targetRows()).toEqual(await sourceRows());
    await room.from.query('delete from numbers where id = 1001');
  });

  test('fills an identity column as COPY would, and leaves the rest of the target to itself', async () => {
    await room.to.query(`drop table target; create table target (
      id integer generated always as identity, label text, twice text generated always as (label || label) stored,
      seen boolean not null default true)`);
    load = await room.prepare(room.sync({ query: unordered, key: [] }), newId('run'));
    await room.attempt(run, load, { limits });
    await finish();
    expect(
      await rowsAsText(room.to, 'select id, label from target where seen and twice = label || label'),
    ).toEqual(await sourceRows());
  });

  test('is written and published as the role that was granted, and no more', async () => {
    const role = `granted_${Date.now()}`;
    await room.to.query(`create role ${role}`);
    const granted = room.openDestination({ access: { databaseRole: role } });
    await room.attempt(run, load, { limits });
    const finish = () => granted.finish({ run, load: load.loadId });
    await expect(finish()).rejects.toMatchObject({ code: 'DESTINATION_PERMISSION' });
    await room.to
      .query(`grant usage on schema public, _penstock to ${role}; grant insert on target to ${role};
      grant select on _penstock."${load.loadId}" to ${role}`);
    await finish();
    const other = newId('run');
    const opened = await room.prepare(room.sync({ query: unordered, key: [] }), other, {
      destination: granted,
    });
    expect(await room.attempt(other, opened, { destination: granted })).toMatchObject({
      outcome: 'finished',
    });
    await granted.finish({ run: other, load: opened.loadId });
    expect(await targetRows()).toHaveLength(2000);
    await granted.close();
    await room.to.query(`drop owned by ${role}; drop role ${role}`);
  });
});

describe.each(['upsert', 'mirror'] as const)('a query that cannot be resumed, mode %s', (mode) => {
  test('begins again, with checkpoints of its own, and writes over what it wrote', async () => {
    const sync = room.sync({
      query: 'select id, label || random() as label from numbers',
      key: ['id'],
      mode,
    });
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await attemptUntil(run, load, 5);
    expect(await rowsAsText(room.to, 'select id from target')).toHaveLength(500);
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'finished', rows: 1000 });
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 1000, inserted: 500, updated: 500, batches: 11 });
    const { rows } = await room.to.query(
      'select count(*)::int as n, count(distinct id)::int as ids from target',
    );
    expect(rows).toEqual([{ n: 1000, ids: 1000 }]);
  });

  test('deduplicates by its rule also where a key would be cut: rows come in key order', async () => {
    const sync = room.sync({
      query: `select id, v::text as label from (
        select (i * 7) % 100 as id, i as v from generate_series(1, 1000) as i where random() >= 0) as shuffled`,
      key: ['id'],
      mode,
    });
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await room.attempt(run, load, { limits: { ...limits, rows: 25 } });
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 1000, inserted: 100, deduplicated: 900 });
    const expected = await rowsAsText(
      room.from,
      `select (i * 7) % 100 as id, max(i::text collate "C") as label from generate_series(1, 1000) as i group by 1`,
    );
    expect(await targetRows()).toEqual(expected);
  });
});
