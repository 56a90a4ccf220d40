/** Placeholders of a query in real loads: typed, frozen with the load, and never a way to write SQL. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
  await room.from.query('drop table if exists events');
  await room.from.query('create table events (id integer primary key, at timestamptz not null, note text)');
});

const insert = (from: number, to: number, at: string) =>
  room.from.query(`insert into events select i, ${at}, 'first' from generate_series(${from}, ${to}) as i`);
const ofTime = { column: 'at', lag: '30s' };
const of = (query: string, over: Partial<SyncInput> = {}) =>
  room.sync({ query, key: ['id'], mode: 'upsert', cursor: ofTime, ...over });
const expectEqual = async (query: string) =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));

describe.each([
  ['{{cursor}} in a sub-select', 'select * from (select * from events where at > {{cursor}}) as fresh'],
  [
    '{{last_sync_time}} in WITH',
    'with fresh as (select * from events where at > {{last_sync_time}}) select * from fresh',
  ],
  [
    '{{window.from}} and {{window.to}}',
    'select * from events where at > {{window.from}} and at <= {{window.to}}',
  ],
  ['an expression', `select * from events where at > {{cursor}} - interval '1 second'`],
])('%s', (_, query) => {
  test.each(['append', 'upsert'] as const)(
    '%s: the first load reads everything, the next what is new',
    async (mode) => {
      const sync = of(query, { mode });
      await insert(1, 5, `timestamptz '2024-01-01 00:00:00.000001+00' + i * interval '1 microsecond'`);
      expect(await room.run(sync)).toMatchObject({ read: 5, inserted: 5 });
      await insert(6, 8, 'clock_timestamp()');
      expect(await room.run(sync)).toMatchObject({ read: 3, inserted: 3 });
      await expectEqual('select * from events');
    },
  );
});

test.each([
  ['integer', 'i', '{{cursor}} + 0'],
  ['bigint', '9007199254740993 + i', '{{cursor}}'],
  ['numeric(20,3)', 'i / 7.0', '{{cursor}}'],
  ['double precision', 'i / 7.0', '{{cursor}}'],
  ['date', `date '2024-01-01' + i`, '{{cursor}} + 0'],
  ['timestamp', `timestamp '2024-01-01' + i * interval '1 day'`, '{{cursor}}'],
  ['text', `lpad(i::text, 3, '''')`, '{{cursor}}'],
  ['uuid', `lpad(i::text, 32, '0')::uuid`, '{{cursor}}'],
])('a literal has the type of the cursor: %s', async (type, value, placeholder) => {
  await room.from.query(`alter table events alter column at type ${type} using null`);
  const sync = of(`select * from events where at > ${placeholder}`);
  await insert(1, 5, value);
  expect(await room.run(sync)).toMatchObject({ read: 5 });
  await insert(6, 8, value);
  expect(await room.run(sync)).toMatchObject({ read: 3 });
  await expectEqual('select * from events');
});

test('a value that is SQL stays a value', async () => {
  await room.from.query('create table victim (id integer)');
  await room.from.query('alter table events alter column at type text using null');
  const sync = of('select * from events where at > {{cursor}}');
  await room.from.query(`insert into events values (1, $1, 'x')`, [`z'; drop table victim; --{{cursor}}`]);
  await room.run(sync);
  await room.from.query(`insert into events values (2, $1, 'y')`, [`zz\\' or true`]);
  expect(await room.run(sync)).toMatchObject({ read: 1 });
  expect((await room.from.query('select from victim')).rows).toEqual([]);
  await expectEqual('select * from events');
});

test('{{window.from}} includes the lookback, {{cursor}} does not', async () => {
  const cursor = { ...ofTime, lookback: '1h' };
  const run = (placeholder: string) =>
    of(`select * from events where at > {{${placeholder}}}`, { cursor, table: 'target' });
  for (const [placeholder, again] of [
    ['window.from', 6],
    ['cursor', 1],
  ] as const) {
    await room.to.query('drop table if exists target');
    await room.from.query('truncate events');
    const sync = run(placeholder);
    await insert(1, 5, `now() - interval '2 minutes'`);
    await room.run(sync);
    await insert(6, 6, `now() - interval '1 minute'`);
    expect(await room.run(sync)).toMatchObject({ read: again });
    await room.destination.resetSync(sync.id, { deleteRows: true });
  }
});

test('{{run_time}} is frozen with the load: who continues it reads by the same clock', async () => {
  const query = 'select id, note, {{run_time}} as run_at from events where at < {{run_time}}';
  const sync = room.sync({ query, key: ['id'], mode: 'upsert' });
  await insert(1, 20, `now() - interval '1 hour'`);
  const run = newId('run');
  const load = await room.prepare(sync, run);
  let batches = 0;
  await room.attempt(run, load, {
    limits: { rows: 5, bytes: 1 << 20, timeMs: 60_000 },
    onProgress: () => void batches++,
    drain: () => batches > 1,
  });
  await room.destination.closeRun(run);
  const next = newId('run');
  expect(await room.prepare(sync, next)).toMatchObject({
    loadId: load.loadId,
    continued: true,
    plan: { runTime: load.plan.runTime },
  });
  await room.attempt(next, load);
  const { rows } = await room.to.query('select distinct run_at from target');
  expect(rows).toHaveLength(1);
  await room.destination.finish({ run: next, load: load.loadId });
  expect((await room.prepare(sync, newId('run'))).plan.runTime).not.toBe(load.plan.runTime);
});

test('{{run_time}} can be continued where now() cannot', async () => {
  const probe = (query: string) => room.source.probe({ query, key: ['id'], cursor: null });
  expect((await probe('select * from events where at < now()')).resumable.possible).toBe(false);
  expect((await probe('select * from events where at < {{run_time}}')).resumable.possible).toBe(true);
});

test.each([
  [
    'a cursor whose type has no literal',
    'select id, row(1)::text::citext as at from events where {{cursor}} is null',
    'SOURCE_SQL',
  ],
  [
    'a cursor that cannot be a placeholder',
    'select id, true as at from events where {{cursor}} is not null',
    'BAD_REQUEST',
  ],
  [
    'a time, of a cursor that is none',
    'select id, id as at from events where id > {{last_sync_time}}',
    'BAD_REQUEST',
  ],
  [
    'an error that has nothing to do with it',
    'select id, at from nowhere where at > {{cursor}}',
    'SOURCE_SQL',
  ],
  ['a placeholder in quotes', `select id, at from events where at > '{{cursor}}'`, 'QUERY_NOT_ALLOWED'],
])('%s is refused before anything is read', async (_, query, code) => {
  await expect(room.prepare(of(query), newId('run'))).rejects.toMatchObject({ code });
});
