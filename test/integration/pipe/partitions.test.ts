/** Partitions of a load: every row of the result is in exactly one, however the keys are distributed. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { boundsOf } from '../../../src/copy/plan-partitions.ts';
import { newId } from '../../../src/domain/ids.ts';
import { writeModeNames } from '../../../src/domain/write-modes.ts';
import type { PartitionBounds } from '../../../src/ports/source.ts';
import { readStatement } from '../../../src/sources/postgres/read-statement.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type SyncInput } from '../../support/pipe-room.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query(
    `create collation insensitive (provider = icu, locale = 'und-u-ks-level2', deterministic = false)`,
  );
  await room.from.query(`create type shade as enum ('zinc', 'ash', 'milk')`);
});
afterAll(() => room.close());
beforeEach(() => room.to.query('drop table if exists target'));

const everything = { low: null, high: null };
const never = new AbortController().signal;

interface Split {
  query: string;
  key: string[];
  ranges?: number;
  minRows?: number;
}

const split = async ({ query, key, ranges = 6, minRows = 1 }: Split) => {
  const { columns, keyMayBeNull } = await room.source.probe({ query, key, cursor: null });
  const splits = await room.source.splitKey({
    query,
    columns,
    key,
    cursor: null,
    window: everything,
    ranges,
    minRows,
    signal: never,
  });
  const bounds = boundsOf(splits, keyMayBeNull);
  const readOf = (each: PartitionBounds, after: null | (string | null)[] = null) =>
    readStatement({ sql: query, columns, key, after, bounds: each, cursor: null, window: everything });
  return { splits, bounds, readOf };
};

/** The rows of all partitions together. */
const rowsOfAll = async (request: Split): Promise<string[]> => {
  const { bounds, readOf } = await split(request);
  return rowsAsText(
    room.from,
    bounds.map((each) => `select * from (${readOf(each)}) as p`).join(' union all '),
  );
};

/** Values by type, in no order; extremes among them. */
const pools: Readonly<Record<string, readonly string[]>> = {
  integer: ['0', '-2147483648', '2147483647', '9', '10', '11'],
  bigint: ['9007199254740993', '9007199254740992', '-9223372036854775808', '9223372036854775807', '0'],
  'numeric(10,2)': ['NaN', '0.00', '-0.01', '10.00', '9.00', '99999999.99'],
  text: ['', 'a', 'B', 'é', "it's", '\\', 'a\nb', 'Z', '10', '9'],
  'text collate "en-x-icu"': ['', 'a', 'B', 'b', 'é', 'E', '_', ' ', 'z'],
  'character(3)': ['', 'a', 'a b', 'é', 'abc'],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  ],
  timestamptz: [
    '-infinity',
    'infinity',
    '2024-03-10 02:30:00.000001-08',
    '2024-03-10 02:30:00.000002-08',
    '4713-01-02 00:00:00+00 BC',
  ],
  date: ['-infinity', 'infinity', '2024-02-29', '0001-01-01 BC'],
  boolean: ['true', 'false'],
  bytea: ['', '\\x00', '\\xff', '\\x00ff'],
  shade: ['zinc', 'ash', 'milk'],
};

/** Places in a pool, null for NULL: all equal, skewed, few, many, none. */
const distribution = (size: number) => {
  const place = fc.option(fc.nat(size - 1), { freq: 5 });
  return fc.oneof(
    fc.array(place, { maxLength: 40 }),
    fc.tuple(place, fc.nat(30)).map(([one, times]) => Array.from({ length: times }, () => one)),
    fc
      .tuple(place, fc.array(place, { maxLength: 5 }))
      .map(([heavy, few]) => [...Array.from({ length: 30 }, () => heavy), ...few]),
  );
};

describe.each(Object.entries(pools))('a key of %s that may repeat and be NULL', (type, pool) => {
  beforeAll(async () => {
    await room.from.query('drop table if exists spread');
    await room.from.query(`create table spread (k ${type}, n integer)`);
  });

  const plant = async (places: readonly (number | null)[]) => {
    const values = places.map((place) => (place === null ? null : pool[place]!));
    await room.from.query('truncate spread');
    await room.from.query(
      `insert into spread select k::${type}, nullif(n % 7, 0) from unnest($1::text[]) with ordinality as t(k, n)`,
      [values],
    );
  };

  test.each([
    ['its first column splits', 'select * from spread', ['k']],
    ['it is the first of two columns', 'select * from spread', ['k', 'n']],
    [
      'the query is not a table',
      'select a.k, a.n from spread a left join (select 1 as one) b on true',
      ['k'],
    ],
  ])('has no gap and no overlap: %s', async (_, query, key) => {
    await fc.assert(
      fc.asyncProperty(
        distribution(pool.length),
        fc.boolean(),
        fc.integer({ min: 2, max: 9 }),
        async (places, analyzed, ranges) => {
          await plant(places);
          if (analyzed) await room.from.query('analyze spread');
          expect(await rowsOfAll({ query, key, ranges })).toEqual(await rowsAsText(room.from, query));
        },
      ),
      { numRuns: 6 },
    );
  });
});

describe.each([
  [
    'float8',
    `case i when 1 then 'NaN' when 2 then '-Infinity' when 3 then 'Infinity' else (i - 50) / 7.0 end`,
  ],
  ['numeric', `case i when 1 then 'NaN'::numeric else (i - 50) / 7.0 end`],
  ['interval', `i * interval '1 hour' - interval '2 days'`],
  ['text collate insensitive', `(array['a', 'B', 'É'])[1 + i % 3] || i`],
])('a unique key of %s', (type, value) => {
  test.each(['from statistics', 'from a sample'])('has no gap and no overlap: split %s', async (how) => {
    await room.from.query(
      `drop table if exists single; create table single (k ${type} primary key, n integer)`,
    );
    await room.from.query(`insert into single select ${value}, i from generate_series(1, 100) as i`);
    if (how === 'from statistics') await room.from.query('analyze single');
    const query = 'select * from single';
    expect((await split({ query, key: ['k'] })).bounds).toHaveLength(6);
    expect(await rowsOfAll({ query, key: ['k'] })).toEqual(await rowsAsText(room.from, query));
  });
});

describe('the size of ranges', () => {
  const sizes = async (request: Split): Promise<number[]> => {
    const { bounds, readOf } = await split(request);
    const counts = bounds.map((each) => `(select count(*)::int from (${readOf(each)}) as p)`);
    const { rows } = await room.from.query<{ sizes: number[] }>(
      `select array[${counts.join(', ')}] as sizes`,
    );
    return rows[0]!.sizes;
  };
  beforeAll(async () => {
    await room.from.query('create table lopsided (k integer not null, pad text)');
    // Half of the rows have one key; the others crowd together at the low end of a wide range.
    await room.from.query(
      'insert into lopsided select case i % 2 when 0 then 5000 else (i::bigint * i / 1000)::int end from generate_series(1, 20000) as i',
    );
  });

  test.each([
    ['its statistics', 'select * from lopsided', true],
    ['a sample, of a table that was never analysed', 'select * from lopsided', false],
    ['a sample, of a query', 'select distinct on (pad, k, ctid) k from lopsided', false],
  ])('is about equal, by %s; what shares one key stays together', async (_, query, analyzed) => {
    await room.from.query(
      analyzed ? 'analyze lopsided' : 'update pg_class set reltuples = -1 where relname = $$lopsided$$',
    );
    const found = (await sizes({ query, key: ['k'], ranges: 8 })).toSorted((a, b) => b - a);
    expect(found[0]).toBeLessThan(13_000);
    for (const size of found.slice(1)) expect(size).toBeLessThan(4_000);
  });

  test('is a batch at least: a few rows are not worth a connection each', async () => {
    const query = 'select * from lopsided';
    expect(await sizes({ query, key: ['k'], ranges: 8, minRows: 30_000 })).toEqual([20_000]);
  });

  test.each([true, false])(
    'of a result with one key is all of it: no two splits are equal (analysed: %s)',
    async (analyzed) => {
      await room.from.query('drop table if exists uniform; create table uniform (k integer not null)');
      await room.from.query('insert into uniform select 7 from generate_series(1, 100)');
      if (analyzed) await room.from.query('analyze uniform');
      expect((await split({ query: 'select * from uniform', key: ['k'] })).splits).toEqual(['7']);
    },
  );

  test('statistics of another column that has the key’s name are not taken for its own', async () => {
    await room.from.query('create table twins (id text not null, n integer not null)');
    await room.from.query(`insert into twins select 'x' || i, i from generate_series(1, 100) as i`);
    await room.from.query('analyze twins');
    const { splits } = await split({ query: 'select n as id, id as n from twins', key: ['id'] });
    expect(splits.map(Number)).toHaveLength(5);
    expect(splits.map(Number)).toEqual(splits.map(Number).toSorted((a, b) => a - b));
  });

  test('splits are in the order of the column’s own collation, in which "B" comes after "a"', async () => {
    await room.from.query('create table spoken (k text collate "en-x-icu" not null)');
    await room.from.query(`insert into spoken select unnest(string_to_array('B a C b A c Z z', ' '))`);
    const { splits } = await split({ query: 'select * from spoken', key: ['k'], ranges: 8 });
    expect(splits).toEqual(['a', 'A', 'b', 'B', 'c', 'C', 'z']);
  });
});

describe('a copy in partitions', () => {
  beforeAll(async () => {
    await room.from.query('create table mixed (k text collate "en-x-icu", n integer, note text)');
    await room.from.query(
      `insert into mixed select case when i % 10 > 0 then (array['a', 'B', 'é'])[1 + i % 3] || i % 37 end,
         nullif(i % 11, 0), 'note ' || i from generate_series(1, 400) as i`,
    );
    await room.from.query('create table plain (k text primary key, note text)');
    await room.from.query(
      `insert into plain select k || '-' || n || note, note from mixed where k || n is not null`,
    );
  });
  const limits = { parallel: 2, batchRows: 20 };
  const expectEqual = async (query: string) =>
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(await rowsAsText(room.from, query));

  test('appends every row once; those with NULL in their key are the last partition', async () => {
    const input: SyncInput = { query: 'select * from mixed', key: ['k', 'n'], limits };
    const run = newId('run');
    const load = await room.prepare(room.sync(input), run);
    expect(load.partitions).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for (const partition of load.partitions.toReversed())
      expect(await room.attempt(run, load, { partition })).toMatchObject({ outcome: 'finished' });
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt).toMatchObject({ read: 400, inserted: 400 });
    await expectEqual(input.query);
  });

  test.each([
    ['one of several without parallel workers', 2, '0'],
    ['all of it with as many as the server has set', 1, '2'],
  ])('reads %s', async (_, parallel, workers) => {
    const query = `select k, current_setting('max_parallel_workers_per_gather') as workers from plain`;
    await room.run(room.sync({ query, key: ['k'], limits: { ...limits, parallel } }));
    expect((await room.to.query('select distinct workers from target')).rows).toEqual([{ workers }]);
  });

  test('a partition is resumed after every two rows, also that of the NULLs', async () => {
    const input: SyncInput = {
      query: 'select * from mixed where note < $$note 2$$ and (n is null or k is null)',
      key: ['k', 'n', 'note'],
    };
    const run = newId('run');
    const load = await room.prepare(room.sync(input), run);
    expect(load.partitions).toEqual([1, 2]);
    for (const partition of load.partitions)
      for (let outcome = 'yielded'; outcome !== 'finished';)
        ({ outcome } = await room.attempt(run, load, {
          partition,
          limits: { rows: 2, bytes: 1 << 20, timeMs: 60_000 },
          yieldAfterMs: 0,
        }));
    const { receipt } = await room.destination.finish({ run, load: load.loadId });
    expect(receipt.batches).toBeGreaterThan(10);
    await expectEqual(input.query);
  });

  test.each(writeModeNames)('%s: a run, and one more that changes nothing it should not', async (mode) => {
    const sync = room.sync({ query: 'select * from plain', key: ['k'], mode, limits });
    const { read, inserted } = await room.run(sync);
    expect(inserted).toBe(read);
    await expectEqual('select * from plain');
    if (mode === 'append') return;
    const again = await room.run(sync);
    expect(again).toMatchObject(mode === 'replace' ? { inserted: read } : { unchanged: read, deleted: 0 });
    await expectEqual('select * from plain');
  });

  test('a replace takes rows with a NULL in their key, like an append', async () => {
    await room.run(room.sync({ query: 'select * from mixed', key: ['k', 'n'], mode: 'replace', limits }));
    await expectEqual('select * from mixed');
  });

  test('an upsert refuses NULL in a key, in whichever partition', async () => {
    const sync = room.sync({ query: 'select * from mixed', key: ['k', 'note'], mode: 'upsert', limits });
    await expect(room.run(sync)).rejects.toMatchObject({ code: 'KEY_NULL' });
  });

  test('the bounds are frozen with the load: rows that come later have exactly one partition', async () => {
    const sync = room.sync({ query: 'select * from mixed', key: ['k', 'n', 'note'], limits });
    const run = newId('run');
    const load = await room.prepare(sync, run);
    await room.from.query(`insert into mixed values ('', 0, 'first'), ('zz', 99, 'last'), (null, 1, 'none')`);
    const again = { ...sync, spec: { ...sync.spec, limits: { ...sync.spec.limits, parallel: 5 } } };
    expect(await room.prepare(again, run)).toMatchObject({
      loadId: load.loadId,
      partitions: load.partitions,
    });
    await room.run(again);
    await expectEqual('select * from mixed');
  });

  test('one partition does not fence another: each has its lease', async () => {
    const run = newId('run');
    const load = await room.prepare(room.sync({ query: 'select * from plain', key: ['k'], limits }), run);
    const writers = await Promise.all(
      [2, 1].map((partition) =>
        room.destination.takeLease({ run, load: load.loadId, partition, epoch: String(10 - partition) }),
      ),
    );
    for (const writer of writers) await writer.begin();
    await Promise.all(
      writers.map((writer) => writer.commit({ keyHi: null, rows: 0, bytes: 0, final: true })),
    );
    await Promise.all(writers.map((writer) => writer.close()));
  });

  test('a load with a partition that is not complete cannot be finished', async () => {
    const run = newId('run');
    const load = await room.prepare(room.sync({ query: 'select * from plain', key: ['k'], limits }), run);
    for (const partition of load.partitions.slice(1)) await room.attempt(run, load, { partition });
    const finish = room.destination.finish({ run, load: load.loadId });
    await expect(finish).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
  });

  test('a query that may have another result when it is read again is read once, in one partition', async () => {
    const query = 'select * from plain where random() >= 0';
    const load = await room.prepare(room.sync({ query, key: ['k'], limits }), newId('run'));
    expect(load.partitions).toEqual([1]);
  });

  test('a window that is new is split by a sample of that window', async () => {
    const sync = room.sync({
      query: 'select * from seen',
      key: ['id'],
      mode: 'append',
      cursor: { column: 'at', lag: '30s' },
      limits,
    });
    await room.from.query(
      'create table seen (id integer primary key, at timestamptz not null default clock_timestamp())',
    );
    await room.from.query('insert into seen select i from generate_series(1, 200) as i');
    await room.run(sync);
    await room.from.query('analyze seen');
    await room.from.query('insert into seen select i from generate_series(1001, 1100) as i');
    const run = newId('run');
    await room.prepare(sync, run);
    const { rows } = await room.to.query(
      `select min((bounds->>'upTo')::int) as least from _penstock.partition p join _penstock.load l on l.id = p.load where l.opened_by = $1`,
      [run],
    );
    expect(rows[0].least).toBeGreaterThan(1_000);
    await room.run(sync);
    await expectEqual('select * from seen');
  });
});
