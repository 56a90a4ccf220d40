/** Columns that are renamed, left out, cast or hashed on the way; by the source, so that rows stay bytes. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { writeModeNames } from '../../../src/domain/write-modes.ts';
import { verifySync } from '../../support/verify-sync.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create table people (id bigint primary key, "e-mail" text, score numeric, born text, "constructor" text, secret text)`,
  );
  await room.from.query(
    `insert into people select i, case when i % 5 > 0 then 'Ü' || i || '@x' end, i / 4.0, '2000-01-01', 'c' || i, 's' from generate_series(1, 200) as i`,
  );
  await room.from.query('analyze people');
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target'));

const columns: SyncInput['columns'] = {
  rename: { id: 'person id', 'e-mail': 'mail' },
  omit: ['secret'],
  cast: { score: 'numeric(10,2)', born: 'date' },
  hash: ['e-mail'],
};
const mapped = `select id as "person id", encode(sha256(convert_to("e-mail", 'UTF8')), 'hex') as mail,
  score::numeric(10,2) as score, born::date as born, "constructor" from people`;
const people = (over: Partial<SyncInput> = {}) =>
  room.sync({ query: 'select * from people', key: ['person id'], columns, ...over });
const expectMapped = async () =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, mapped));

describe.each(writeModeNames)('%s', (mode) => {
  test.each(['copy', 'cursor'] as const)('columns arrive as they are mapped, read by %s', async (reader) => {
    const { query, key } = { query: 'select * from people', key: ['person id'] };
    const sync = room.sync({ query, key, mode, columns }, reader);
    await room.run(sync);
    await expectMapped();
    expect(await verifySync(room, sync)).toMatchObject({ equal: true, destinationRows: 200 });
  });
});

test('the target is made of what arrives', async () => {
  await room.run(people({ mode: 'upsert' }));
  const { rows } = await room.to.query(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = 'target'::regclass and attnum > 0 order by attnum`,
  );
  expect(rows).toEqual([
    { name: 'person id', type: 'bigint' },
    { name: 'mail', type: 'text' },
    { name: 'score', type: 'numeric(10,2)' },
    { name: 'born', type: 'date' },
    { name: 'constructor', type: 'text' },
  ]);
});

test('a hash is SHA-256 in hex of the value’s UTF-8 text, and NULL stays NULL', async () => {
  await room.run(people());
  const { rows } = await room.to.query(
    `select mail from target where "person id" in (1, 5) order by "person id"`,
  );
  expect(rows).toEqual([{ mail: createHash('sha256').update('Ü1@x', 'utf8').digest('hex') }, { mail: null }]);
});

test('a key that is only renamed stays unique, binary, and served by its index', async () => {
  const { plan } = await room.prepare(people(), newId('run'));
  expect(plan).toMatchObject({ uniqueKey: true, resumable: true, format: 'binary', key: ['person id'] });
  await room.from.query('set enable_seqscan = off; set enable_sort = on');
  const probe = await room.source.probe({
    query: 'select * from people',
    key: ['person id'],
    cursor: null,
    columns,
  });
  await room.from.query('reset enable_seqscan');
  expect(probe.keyMayBeNull).toBe(false);
});

test.each([
  ['cast', { cast: { id: 'text' } }, ['id']],
  ['hashed', { hash: ['id'] }, ['id']],
])('a key that is %s is read and resumed in the order of what arrives', async (_, mapping, key) => {
  const sync = people({ key, columns: mapping, limits: { parallel: 2, batchRows: 20 } });
  const run = newId('run');
  const load = await room.prepare(sync, run);
  expect(load.plan.uniqueKey).toBe(false);
  expect(load.partitions.length).toBeGreaterThan(2);
  for (const partition of load.partitions)
    for (let outcome = 'yielded'; outcome !== 'finished';)
      ({ outcome } = await room.attempt(run, load, {
        partition,
        limits: { rows: 9, bytes: 1 << 20, timeMs: 60_000 },
        yieldAfterMs: 0,
      }));
  const { receipt } = await room.destination.finish({ run, load: load.loadId });
  expect(receipt.inserted).toBe(200);
});

test('an incremental sync names its cursor as it arrives, and placeholders have that type', async () => {
  await room.from.query('create table events (id integer primary key, seen text)');
  await room.from.query(`insert into events select i, '2024-01-0' || i from generate_series(1, 5) as i`);
  const sync = room.sync({
    query: 'select * from events where seen::date > {{cursor}}',
    key: ['id'],
    cursor: { column: 'day' },
    columns: { rename: { seen: 'day' }, cast: { seen: 'date' } },
  });
  expect(await room.run(sync)).toMatchObject({ read: 5 });
  await room.from.query(`insert into events values (6, '2024-01-06')`);
  expect(await room.run(sync)).toMatchObject({ read: 1 });
});

test('another mapping is another load, and asks what becomes of the cursor', async () => {
  await room.from.query('create table log (id integer primary key, note text)');
  await room.from.query(`insert into log values (1, 'a')`);
  const sync = room.sync({ query: 'select * from log', key: ['id'], cursor: { column: 'id' } });
  await room.run(sync);
  const edited = { ...sync, spec: { ...sync.spec, columns: { hash: ['note'] } } };
  await expect(room.prepare(edited, newId('run'))).rejects.toMatchObject({ code: 'CURSOR_CHANGED' });
});

test.each([
  ['rename', { rename: { nothing: 'x' } }, '/columns/rename/nothing'],
  ['omit', { omit: ['id', 'nothing'] }, '/columns/omit/1'],
  ['cast', { cast: { nothing: 'text' } }, '/columns/cast/nothing'],
  ['hash', { hash: ['nothing'] }, '/columns/hash/0'],
])('%s of a column that the query does not have is refused', async (_, mapping, pointer) => {
  const prepare = room.prepare(people({ key: ['id'], columns: mapping }), newId('run'));
  await expect(prepare).rejects.toMatchObject({ code: 'BAD_REQUEST', pointer });
});

test.each([
  ['a name that is taken', { rename: { born: 'score' } }, 'TARGET_MISMATCH'],
  ['a type that does not exist', { cast: { born: 'nothing' } }, 'SOURCE_SQL'],
  ['a key that is left out', { omit: ['id'] }, 'NOT_RESUMABLE'],
])('%s is refused before anything is read', async (_, mapping, code) => {
  await expect(room.prepare(people({ key: ['id'], columns: mapping }), newId('run'))).rejects.toMatchObject({
    code,
  });
});

test('every column of a target that is too narrow is named, and a cast is a way out', async () => {
  await room.to.query(
    `create table target (id integer primary key, "e-mail" varchar(10), score numeric(5,1), born text, secret text)`,
  );
  const query = 'select id, "e-mail", score, born, secret from people';
  const refused = room.prepare(room.sync({ query, key: ['id'] }), newId('run'));
  await expect(refused).rejects.toMatchObject({
    code: 'TARGET_MISMATCH',
    message: expect.stringMatching(
      /integer for the column id.*varying\(10\) for the column e-mail.*numeric\(5,1\) for the column score/,
    ),
  });
  const cast = { id: 'integer', 'e-mail': 'varchar(10)', score: 'numeric(5,1)' };
  await room.run(room.sync({ query, key: ['id'], columns: { cast } }));
  expect(await rowsAsText(room.to, 'select score from target')).toEqual(
    await rowsAsText(room.from, 'select score::numeric(5,1) from people'),
  );
});
