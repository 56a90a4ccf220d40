/** Incremental reads: windows that miss no row and read none twice, and each way in which a named product got it wrong. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId } from '../../../src/domain/ids.ts';
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
  await room.to.query('drop table if exists target');
  await room.from.query('drop table if exists events cascade');
  await room.from.query('create table events (id integer primary key, at timestamptz, note text)');
});

const query = 'select * from events';
const append = (over: Partial<SyncInput> = {}): TestSync =>
  room.sync({ query, key: ['id'], cursor: { column: 'at', lag: '30s' }, ...over });
/** It waits that short a time for transactions that are open. */
const impatient = (sync: TestSync): TestSync => ({
  ...sync,
  spec: { ...sync.spec, cursor: { ...sync.spec.cursor!, lag: '1s' } },
});
const upsert = (over: Partial<SyncInput> = {}): TestSync => append({ mode: 'upsert', ...over });

const insert = (from: number, to: number, at = 'now()') =>
  room.from.query(`insert into events select i, ${at}, 'first' from generate_series(${from}, ${to}) as i`);
const expectEqual = async () =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));
const cursorOf = async ({ id }: TestSync) =>
  (await room.to.query('select value from _penstock.cursor where sync = $1', [id])).rows[0]?.value as
    string | null;

const untilAsked = () =>
  waitUntil('the source is asked whether the transactions have ended', async () => {
    const sql = `select from pg_stat_activity where query like '%txid_snapshot_xmin%' and pid <> pg_backend_pid() and datname = current_database()`;
    return (await room.from.query(sql)).rowCount! > 0;
  });

describe.each(['append', 'upsert'] as const)('%s', (mode) => {
  const make = mode === 'append' ? append : upsert;

  test('each run reads what is new, exactly once, with its microseconds', async () => {
    const sync = make();
    await insert(1, 10, `timestamptz '2024-01-01 00:00:00.123456+00' + i * interval '1 microsecond'`);
    expect(await room.run(sync)).toMatchObject({ read: 10, inserted: 10 });
    expect(await cursorOf(sync)).toBe('2024-01-01 00:00:00.123466+00');
    await insert(11, 11, `timestamptz '2024-01-01 00:00:00.123467+00'`);
    expect(await room.run(sync)).toMatchObject({ read: 1, inserted: 1 });
    await expectEqual();
  });

  test('rows that tie at the boundary of two windows are read once', async () => {
    const sync = make();
    await insert(1, 5, `timestamptz '2024-01-01'`);
    await room.run(sync);
    expect(await room.run(sync)).toMatchObject({ read: 0 });
    await insert(6, 9, `timestamptz '2024-01-02'`);
    expect(await room.run(sync)).toMatchObject({ read: 4 });
    await expectEqual();
  });

  test('an empty source, and then a first row', async () => {
    const sync = make();
    expect(await room.run(sync)).toMatchObject({ read: 0, batches: 1 });
    expect(await cursorOf(sync)).toBeNull();
    await insert(1, 1);
    expect(await room.run(sync)).toMatchObject({ read: 1 });
    await expectEqual();
  });

  test('a transaction that commits late, with a lower value, is waited for', async () => {
    const late = new Client(room.sourceAccess);
    await late.connect();
    await late.query('begin');
    await late.query('insert into events values (1, now(), $1)', ['late']);
    await insert(2, 5, 'clock_timestamp()');
    const running = room.run(make());
    await untilAsked();
    await late.query('commit');
    expect(await running).toMatchObject({ read: 5 });
    await late.end();
    await expectEqual();
  });

  test('one that drew its value before its first write is waited for, too', async () => {
    const late = new Client(room.sourceAccess);
    await late.connect();
    await late.query('begin');
    await late.query('select now()');
    await insert(2, 5, 'clock_timestamp()');
    const running = room.run(make());
    await untilAsked();
    await late.query('insert into events values (1, now(), $1)', ['late']);
    await late.query('commit');
    expect(await running).toMatchObject({ read: 5 });
    await late.end();
    await expectEqual();
  });

  test('one that only reads holds the window for the lag, not longer', async () => {
    const report = new Client(room.sourceAccess);
    await report.connect();
    await report.query('begin; select count(*) from events');
    await insert(1, 3);
    expect(await room.run(impatient(make()))).toMatchObject({ read: 3 });
    await report.end();
  });

  test('a target that was dropped is loaded from the beginning', async () => {
    const sync = make();
    await insert(1, 3);
    await room.run(sync);
    await room.to.query('drop table target');
    await insert(4, 5, 'clock_timestamp()');
    expect(await room.run(sync)).toMatchObject({ read: 5 });
    await expectEqual();
  });

  test('one that does not end within the lag is not overtaken: nothing is read, and nothing is lost', async () => {
    const late = new Client(room.sourceAccess);
    await late.connect();
    const sync = make();
    await insert(1, 3);
    await room.run(sync);
    const before = await cursorOf(sync);
    await late.query('begin');
    await late.query('insert into events values (4, now(), $1)', ['late']);
    await insert(5, 9, 'clock_timestamp()');
    expect(await room.run(impatient(sync))).toMatchObject({ read: 0 });
    expect(await cursorOf(sync)).toBe(before);
    await late.query('commit');
    await late.end();
    expect(await room.run(sync)).toMatchObject({ read: 6 });
    await expectEqual();
  });

  test('a row dated in the future does not carry the cursor past rows still to come', async () => {
    const sync = make();
    await insert(1, 3);
    await insert(4, 4, `timestamptz '2999-01-01'`);
    expect(await room.run(sync)).toMatchObject({ read: 3 });
    await insert(5, 6, 'clock_timestamp()');
    expect(await room.run(sync)).toMatchObject({ read: 2 });
  });

  test('the cursor does not move when the load does not end', async () => {
    const sync = make();
    await insert(1, 20);
    const run = newId('run');
    const load = await room.prepare(sync, run);
    let batches = 0;
    await room.attempt(run, load, {
      limits: { rows: 5, bytes: 1 << 20, timeMs: 60_000 },
      onProgress: () => void batches++,
      drain: () => batches > 2,
    });
    await room.destination.closeRun(run);
    expect(await cursorOf(sync)).toBeNull();
    await insert(21, 25, 'clock_timestamp()');
    // The next run ends the old window first, then opens its own.
    expect(await room.run(sync)).toMatchObject({ read: 25, inserted: 25 });
    await expectEqual();
  });

  test('the cursor is the source’s, not the target’s maximum: rows that are deleted there stay deleted', async () => {
    const sync = make();
    await insert(1, 10);
    await room.run(sync);
    await room.to.query('delete from target where id > 5');
    expect(await room.run(sync)).toMatchObject({ read: 0 });
  });

  test('two runs at once: one opens the load, the other is told that the cursor moved', async () => {
    const sync = make();
    await insert(1, 5);
    await room.run(sync);
    await insert(6, 9, 'clock_timestamp()');
    const [first, second] = [newId('run'), newId('run')];
    const prepared = await Promise.allSettled([room.prepare(sync, first), room.prepare(sync, second)]);
    const loads = prepared.flatMap((one) => (one.status === 'fulfilled' ? [one.value.loadId] : []));
    const refused = prepared.flatMap((one) => (one.status === 'rejected' ? [one.reason.code] : []));
    // The later one may also come when the load is open already, and then continues it.
    expect(new Set(loads).size).toBe(1);
    expect(refused.every((code) => code === 'CURSOR_MOVED')).toBe(true);
  });
});

describe('types of cursors', () => {
  test.each([
    ['an integer that sorts "10" after "9"', 'integer', 'i'],
    ['a bigint beyond 2^53', 'bigint', '9007199254740993 + i'],
    ['a date', 'date', `date '2024-01-01' + i`],
    ['a naive timestamp', 'timestamp', `timestamp '2024-03-10 01:59:58.999999' + i * interval '1 second'`],
    ['a text', 'text', `lpad(i::text, 3, '0')`],
    ['a numeric', 'numeric', 'i / 7.0'],
    ['a float', 'float8', 'i / 7.0'],
  ])('%s', async (_, type, value) => {
    await room.from.query(`alter table events alter column at type ${type} using null`);
    const sync = append();
    await insert(1, 9, value);
    expect(await room.run(sync)).toMatchObject({ read: 9 });
    await insert(10, 11, value);
    expect(await room.run(sync)).toMatchObject({ read: 2 });
    await expectEqual();
  });
});

describe('a value that comes again', () => {
  test.each([
    ['a day', 'date', 'current_date'],
    ['a rounded second', 'timestamptz(0)', `date_trunc('second', now())`],
  ])('%s that is not over is not read: rows still to come may have it', async (_, type, value) => {
    await insert(1, 5, `now() - interval '3 days'`);
    // Whenever it is read, two rows are of just then.
    const at = `(case when id > 3 then ${value} else at end)::${type}`;
    const sync = append({ query: `select id, ${at} as at, note from events` });
    expect(await room.run(sync)).toMatchObject({ read: 3 });
  });

  test('it is read at once with a lookback of a day, which reads it again', async () => {
    await room.from.query('alter table events alter column at type date using null');
    const sync = upsert({ cursor: { column: 'at', lookback: '1d', lag: '30s' } });
    await insert(1, 3, 'current_date');
    expect(await room.run(sync)).toMatchObject({ inserted: 3 });
    await insert(4, 5, 'current_date');
    expect(await room.run(sync)).toMatchObject({ inserted: 2, unchanged: 3 });
  });

  test('a rounded second that is over is read', async () => {
    await room.from.query('alter table events alter column at type timestamptz(0) using null');
    const sync = append();
    await insert(1, 3, `now() - interval '2 seconds'`);
    expect(await room.run(sync)).toMatchObject({ read: 3 });
  });
});

describe('NULL in the cursor', () => {
  beforeEach(async () => {
    await insert(1, 5);
    await room.from.query('insert into events values (6, null)');
  });

  test('an append refuses it: such rows would be read never, or again and again', async () => {
    await expect(room.run(append())).rejects.toMatchObject({ code: 'CURSOR_NULL' });
  });

  test('an upsert reads it in every run', async () => {
    const sync = upsert();
    expect(await room.run(sync)).toMatchObject({ read: 6 });
    await room.from.query(`update events set note = 'changed' where id = 6`);
    expect(await room.run(sync)).toMatchObject({ read: 1, updated: 1 });
    await expectEqual();
  });
});

describe('looking back', () => {
  test('rows that come late, with a value below the cursor, are found within the lookback', async () => {
    const sync = upsert({ cursor: { column: 'at', lookback: '1h', lag: '30s' } });
    await insert(1, 5);
    await room.run(sync);
    await insert(6, 6, `now() - interval '30 minutes'`);
    expect(await room.run(sync)).toMatchObject({ inserted: 1, unchanged: 5 });
    await expectEqual();
  });

  test.each([
    [
      'the fold at the end of summer time, when naive local times go back an hour',
      'timestamp',
      `timestamp '2024-11-03 01:59:59'`,
      `timestamp '2024-11-03 01:00:00'`,
    ],
    [
      'a writer whose clock is behind',
      'timestamptz',
      'clock_timestamp()',
      `clock_timestamp() - interval '40 minutes'`,
    ],
  ])('%s: rows with lower values are found', async (_, type, value, lower) => {
    await room.from.query(`alter table events alter column at type ${type} using null`);
    const sync = upsert({ cursor: { column: 'at', lookback: '1h', lag: '30s' } });
    await insert(1, 1, value);
    await room.run(sync);
    await insert(2, 2, lower);
    expect(await room.run(sync)).toMatchObject({ inserted: 1 });
    await expectEqual();
  });

  test('an update that leaves the cursor alone is seen as long as the lookback reaches, and no longer', async () => {
    const sync = upsert({ cursor: { column: 'at', lookback: '1h', lag: '30s' } });
    await insert(1, 1, `now() - interval '2 hours'`);
    await insert(2, 2);
    await room.run(sync);
    await room.from.query(`update events set note = 'changed'`);
    expect(await room.run(sync)).toMatchObject({ read: 1, updated: 1 });
  });

  test('an append cannot: it would load rows twice', async () => {
    const prepare = room.prepare(append({ cursor: { column: 'at', lookback: '1h' } }), newId('run'));
    await expect(prepare).rejects.toMatchObject({ code: 'BAD_REQUEST', pointer: '/cursor/lookback' });
  });
});

describe('a cursor that belonged to something else', () => {
  const changed = (sync: TestSync): TestSync => ({
    ...sync,
    spec: { ...sync.spec, source: { ...sync.spec.source, query: `${query} where id > 0` } },
  });

  test('an append is refused: it would load rows twice', async () => {
    const sync = append();
    await insert(1, 5);
    await room.run(sync);
    await expect(room.run(changed(sync))).rejects.toMatchObject({ code: 'CURSOR_CHANGED' });
    await room.destination.resetSync(sync.id, { deleteRows: true });
    expect(await room.run(changed(sync))).toMatchObject({ read: 5 });
    await expectEqual();
  });

  test('an upsert reads everything again', async () => {
    const sync = upsert();
    await insert(1, 5);
    await room.run(sync);
    expect(await room.run(changed(sync))).toMatchObject({ read: 5, unchanged: 5 });
  });
});

describe('a load that another plan left open', () => {
  const interrupt = async (sync: TestSync, rows: number) => {
    const run = newId('run');
    const load = await room.prepare(sync, run);
    let batches = 0;
    await room.attempt(run, load, {
      limits: { rows, bytes: 1 << 20, timeMs: 60_000 },
      onProgress: () => void batches++,
      drain: () => batches > 1,
    });
    await room.destination.closeRun(run);
    return load;
  };
  const other = (sync: TestSync): TestSync => ({
    ...sync,
    spec: { ...sync.spec, source: { ...sync.spec.source, query: `${query} where id > 0` } },
  });

  test('an append asks: UNFINISHED_LOAD, until it is accepted or reset', async () => {
    const sync = room.sync({ query, key: ['id'] });
    await insert(1, 20);
    const load = await interrupt(sync, 5);
    await expect(room.run(other(sync))).rejects.toMatchObject({ code: 'UNFINISHED_LOAD' });
    expect(await room.destination.unfinishedLoad(sync.id)).toMatchObject({
      loadId: load.loadId,
      committed: { read: 5, batches: 1 },
    });
    await room.destination.acceptLoad(sync.id);
    expect(await room.destination.unfinishedLoad(sync.id)).toBeNull();
    expect(await room.run(other(sync))).toMatchObject({ read: 20 });
  });

  test('one with nothing committed is abandoned silently', async () => {
    const sync = room.sync({ query, key: ['id'] });
    await insert(1, 20);
    await room.prepare(sync, newId('run'));
    expect(await room.run(other(sync))).toMatchObject({ read: 20 });
    await expectEqual();
  });

  test('an upsert abandons it and reads again', async () => {
    const sync = upsert();
    await insert(1, 20);
    await interrupt(sync, 5);
    expect(await room.run(other(sync))).toMatchObject({ read: 20, unchanged: 5, inserted: 15 });
    await expectEqual();
  });

  test('an attempt at an abandoned load is fenced', async () => {
    const sync = upsert();
    await insert(1, 20);
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await room.destination.acceptLoad(sync.id);
    expect(await room.attempt(run, load)).toMatchObject({ outcome: 'fenced', rows: 0 });
    await expect(room.destination.finish({ run, load: load.loadId })).rejects.toMatchObject({
      code: 'FENCED',
    });
  });

  test('limits are not part of the plan: a run with others continues it', async () => {
    const sync = room.sync({ query, key: ['id'] });
    await insert(1, 20);
    const load = await interrupt(sync, 5);
    const edited = { ...sync, spec: { ...sync.spec, limits: { ...sync.spec.limits, batchRows: 3 } } };
    expect(await room.prepare(edited, newId('run'))).toMatchObject({ loadId: load.loadId, continued: true });
  });
});
