/** P2: a copy goes on after its last checkpoint, wherever it was cut, and misses no row; what cannot go on is refused first. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { newId } from '../../../src/domain/ids.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create collation insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
  );
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
});

/** Copies with a stop after every so many batches, each attempt going on after the checkpoint of the one before. */
async function copyInPieces(input: SyncInput, maxRows: number, stops: readonly number[]) {
  const sync = room.sync(input);
  const run = newId('run');
  const load = await room.prepare(sync, run);
  for (let i = 0; ; i++) {
    let batches = 0;
    const stopAfter = stops[i] ?? Infinity;
    const { outcome } = await room.attempt(run, load, {
      limits: { rows: maxRows, bytes: 1 << 20, timeMs: 60_000 },
      onProgress: () => void batches++,
      // One call of onProgress comes with the lease.
      drain: () => batches > stopAfter,
    });
    if (outcome === 'finished') break;
  }
  return room.destination.finish({ run, load: load.loadId });
}

const expectEqual = async (query: string) =>
  expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));

/** Keys that one column or another orders in its own way. */
const keyTables: Record<string, { ddl: string; key: string[]; values: string }> = {
  'a bigint beyond 2^53': {
    ddl: 'k bigint primary key',
    key: ['k'],
    values: '(i - 50) * 184467440737095516',
  },
  'a text in its own collation': {
    ddl: 'k text collate "en-x-icu" primary key',
    key: ['k'],
    values: `(array['a', 'B', 'é', 'e', 'É', '_', ' ', 'z'])[1 + i % 8] || i`,
  },
  'a text with everything to escape': {
    ddl: 'k text primary key',
    key: ['k'],
    values: `chr(9) || E'\\\\' || i || chr(10) || '''"\\N'`,
  },
  'a timestamp with microseconds': {
    ddl: 'k timestamptz primary key',
    key: ['k'],
    values: `case i when 1 then '-infinity' when 2 then 'infinity' else timestamptz '0044-03-15 00:00:00+00 BC' + i * interval '27 years 1.000001 seconds' end`,
  },
  'a date': { ddl: 'k date primary key', key: ['k'], values: `date '4713-01-01 BC' + i * 20000` },
  'a uuid': { ddl: 'k uuid primary key', key: ['k'], values: 'md5(i::text)::uuid' },
  'a bytea': { ddl: 'k bytea primary key', key: ['k'], values: `decode(md5(i::text), 'hex')` },
  'a float': {
    ddl: 'k float8 primary key',
    key: ['k'],
    values: `case i when 1 then 'NaN' when 2 then '-Infinity' else (i - 50) / 7.0 end`,
  },
  'a numeric': { ddl: 'k numeric primary key', key: ['k'], values: '(i - 50) / 7.0' },
  'an interval': {
    ddl: 'k interval primary key',
    key: ['k'],
    values: `i * interval '1 hour' - interval '2 days'`,
  },
  'two columns': { ddl: 'k integer, l text, primary key (k, l)', key: ['k', 'l'], values: `i / 7, 'x' || i` },
  'a character': { ddl: 'k character(6) primary key', key: ['k'], values: `'k' || i` },
  'a case-insensitive text that is unique': {
    ddl: 'k text collate insensitive primary key',
    key: ['k'],
    values: `(array['a', 'B'])[1 + i % 2] || i`,
  },
};

describe.each(Object.entries(keyTables))('a key of %s', (_, { ddl, key, values }) => {
  const query = 'select * from keyed';
  beforeAll(async () => {
    await room.from.query('drop table if exists keyed');
    await room.from.query(`create table keyed (${ddl}, note text)`);
    await room.from.query(
      `insert into keyed select ${values}, 'note ' || i from generate_series(1, 100) as i`,
    );
    await room.from.query('analyze keyed');
  });

  test('resumed after every batch, the copy equals the source', async () => {
    const { receipt } = await copyInPieces(
      { query, key },
      9,
      Array.from({ length: 12 }, () => 1),
    );
    expect(receipt).toMatchObject({ read: 100, inserted: 100 });
    await expectEqual(query);
  });

  test('it is proven unique', async () => {
    expect((await room.source.probe({ query, key, cursor: null })).resumable).toEqual({
      possible: true,
      uniqueKey: true,
    });
  });

  test('its own index serves: nothing is sorted', async () => {
    await room.from.query('set enable_seqscan = off');
    const { rows } = await room.from.query(
      `explain select * from (${query}) as q order by ${key.join(', ')}`,
    );
    await room.from.query('reset enable_seqscan');
    expect(JSON.stringify(rows)).not.toContain('Sort');
  });
});

describe('a key that may repeat', () => {
  test('random ties, batches and stops: the copy equals the source', async () => {
    await room.from.query('create table tied (k integer not null, v integer not null)');
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 5, max: 20 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 6 }),
        async (ties, maxRows, stops) => {
          await room.from.query('truncate tied');
          await room.to.query('drop table if exists target');
          await room.from.query(
            'insert into tied select k, v from unnest($1::int[]) with ordinality as t(n, k), generate_series(1, n) as v',
            [ties],
          );
          await copyInPieces({ query: 'select * from tied', key: ['k'] }, maxRows, stops);
          await expectEqual('select * from tied');
        },
      ),
      { numRuns: 25 },
    );
  });

  test('a page cut inside a tie would lose the rest of it: cut by hand, the rows are missing', async () => {
    const cutInside = `select * from tied where k > (select k from tied order by k limit 1 offset 1)`;
    await room.from.query('truncate tied');
    await room.from.query('insert into tied select 1, v from generate_series(1, 4) as v');
    expect(await rowsAsText(room.from, cutInside)).toEqual([]);
  });

  test('a tie larger than a batch is KEY_TIE_TOO_LARGE', async () => {
    await room.from.query('truncate tied');
    await room.from.query('insert into tied select 7, v from generate_series(1, 50) as v');
    const copy = copyInPieces({ query: 'select * from tied', key: ['k'] }, 10, []);
    await expect(copy).rejects.toMatchObject({ code: 'KEY_TIE_TOO_LARGE' });
  });
});

describe('NULL in a key of an upsert', () => {
  const mode = 'upsert';
  beforeAll(async () => {
    await room.from.query('create table holey (a integer, b text)');
    await room.from.query(`insert into holey select i, 'b' || i from generate_series(1, 50) as i`);
    await room.from.query('insert into holey values (25, null)');
  });

  test('is refused when it is met', async () => {
    const copy = copyInPieces({ query: 'select * from holey', key: ['a', 'b'], mode }, 1000, []);
    await expect(copy).rejects.toMatchObject({ code: 'KEY_NULL' });
  });

  test('is refused by a resumed attempt that would pass it over: (a, b) > (30, x) is not true of (25, NULL)', async () => {
    await room.from.query('delete from holey where b is null');
    const run = newId('run');
    const load = await room.prepare(room.sync({ query: 'select * from holey', key: ['a', 'b'], mode }), run);
    let batches = 0;
    await room.attempt(run, load, {
      limits: { rows: 10, bytes: 1 << 20, timeMs: 60_000 },
      onProgress: () => void batches++,
      drain: () => batches > 3,
    });
    await room.from.query('insert into holey values (5, null)');
    await expect(room.attempt(run, load)).rejects.toMatchObject({ code: 'KEY_NULL' });
  });
});

describe('what cannot go on is known before the run', () => {
  beforeAll(async () => {
    await room.from.query(
      'create table plain (id integer primary key, t text, n numeric, f float8, c text collate insensitive)',
    );
    await room.from.query('create view first_ten as select * from plain limit 10');
    await room.from.query('create view of_view as select id from first_ten');
    await room.from.query('create view lottery as select id, random() as r from plain');
    await room.from.query(`create function roll() returns integer language sql volatile as 'select 4'`);
  });

  test.each([
    ['LIMIT', 'select * from plain limit 10', ['id']],
    ['a view of a view with LIMIT', 'select * from of_view', ['id']],
    ['a volatile function', 'select id, random() as r from plain', ['id']],
    ['a view with a volatile function', 'select * from lottery', ['id']],
    ['a volatile function of the user’s', 'select id, roll() as r from plain', ['id']],
    [
      'set_config, which is volatile',
      `select id, set_config('transaction_read_only', 'off', false) from plain`,
      ['id'],
    ],
    ['now()', 'select id from plain where now() > now()', ['id']],
    ['no key', 'select * from plain', []],
    ['a float key that is not proven unique', 'select * from plain', ['f']],
    ['a numeric key without a scale that is not proven unique', 'select * from plain', ['n']],
    ['a case-insensitive key that is not proven unique', 'select * from plain', ['c']],
  ])('%s', async (_, query, key) => {
    const { resumable } = await room.source.probe({ query, key, cursor: null });
    expect(resumable).toMatchObject({ possible: false, reason: expect.any(String) });
  });

  test.each([
    ['a key that is not in the result', 'select t from plain', ['id'], 'append'],
    ['a key that an upsert cannot merge by', 'select * from plain', ['f'], 'upsert'],
    ['a key that an upsert of a sample cannot merge by', 'select * from plain limit 10', ['c'], 'upsert'],
  ] as const)('%s is refused', async (_, query, key, mode) => {
    const prepare = room.prepare(room.sync({ query, key: [...key], mode }), newId('run'));
    await expect(prepare).rejects.toMatchObject({
      code: 'NOT_RESUMABLE',
      pointer: expect.stringMatching('^/key'),
    });
    expect((await room.to.query(`select to_regclass('target') as target`)).rows).toEqual([{ target: null }]);
  });

  test.each([
    ['a join may repeat it', 'select p.* from plain p join plain q on true', ['id']],
    ['a union may repeat it', 'select id from plain union all select id from plain', ['id']],
    ['a set-returning function repeats it', 'select id, generate_series(1, 2) as g from plain', ['id']],
    ['the column is computed', 'select id + 0 as id from plain', ['id']],
    ['the column may be NULL', 'select * from plain', ['t']],
    [
      'WITH hides what it is',
      'with plain as (select 1 as id union all select 1) select * from plain',
      ['id'],
    ],
  ])('a key is not taken for unique when %s', async (_, query, key) => {
    const probe = await room.source.probe({ query, key, cursor: null });
    expect(probe.resumable).toEqual({ possible: true, uniqueKey: false });
  });

  test('two columns of one name do not collapse: they are refused', async () => {
    const prepare = room.prepare(
      room.sync({ query: 'select id, t as id from plain', key: ['id'] }),
      newId('run'),
    );
    await expect(prepare).rejects.toMatchObject({ code: 'TARGET_MISMATCH' });
  });
});
