/** P5: values arrive unchanged, byte for byte as text, whatever their type, format, mode and reader. */
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Client } from 'pg';
import { chooseFormat } from '../../../src/copy/choose-format.ts';
import { keepsValues } from '../../../src/copy/column-fit.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { Receipt } from '../../../src/domain/run-states.ts';
import { writeModeNames } from '../../../src/domain/write-modes.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type TestSync } from '../../support/pipe-room.ts';
import { awkwardValues, createTypes, localTypes } from '../../support/type-corpus.ts';
import { verifySync } from '../../support/verify-sync.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await createTypes(room.from);
  await createTypes(room.to);
  for (const [table, types] of Object.entries(tables)) await plantValues(table, types);
});
afterAll(() => room.close());

const scalars = Object.keys(awkwardValues);
const isPortable = (type: string): boolean => !localTypes.includes(type);
const arrayOf = (type: string): string[] => (/\]$|vector$/.test(type) ? [] : [`${type}[]`]);
/** Each type, and the array of each. */
const withArrays = (types: readonly string[]): string[] => [
  ...new Set([...types, ...types.flatMap(arrayOf)]),
];
const tables: Readonly<Record<string, readonly string[]>> = {
  portable: withArrays(scalars.filter(isPortable)).filter(isPortable),
  every_type: withArrays(scalars),
};

/** One column per type; row i holds each type's i-th value, NULL when there are no more. */
async function plantValues(table: string, types: readonly string[]): Promise<void> {
  const columns = types.map((type) => `${column(type)} ${type}`);
  await room.from.query(`create table ${table} (id integer primary key, ${columns.join(', ')})`);
  const values = types.map((type) => awkwardValues[type] ?? arraysOf(type.slice(0, -2)));
  const rows = Math.max(...values.map((each) => each.length)) + 1;
  for (let i = 0; i < rows; i++) {
    const row = values.map((each) => each[i] ?? null);
    const casts = types.map((type, k) =>
      awkwardValues[type] ? `$${k + 2}::text::${type}` : arrayValue(type, `$${k + 2}::text[]`, i),
    );
    await room.from.query(`insert into ${table} values ($1, ${casts.join(', ')})`, [i, ...row]);
  }
}

/** All values and a NULL in one dimension; the first in two, with bounds of its own; none. */
const arraysOf = (type: string): (string | null)[][] => {
  const values = awkwardValues[type]!;
  return [[...values, null], [values[0]!], []];
};

function arrayValue(type: string, values: string, i: number): string {
  if (i >= 3) return `${values}::text::${type}`;
  const array = `(select array_agg(v::${type.slice(0, -2)} order by n) from unnest(${values}) with ordinality as t(v, n))`;
  return i === 1
    ? `('[5:5][-2:-2]=' || (array[${array}])::text)::${type}`
    : `coalesce(${array}, '{}'::${type})`;
}

const column = (type: string): string => `"${type.replaceAll('"', '""')}"`;

/** Every value as text, by type, in the order of the rows. */
async function fetchValues(client: Client, table: string, types: readonly string[]) {
  await rowsAsText(client, 'select 1');
  const text = `select ${types.map((type) => `${column(type)}::text`).join(', ')} from ${table} order by id`;
  const { rows } = await client.query<(string | null)[]>({ text, rowMode: 'array' });
  return new Map(types.map((type, i) => [type, rows.map((row) => row[i])]));
}

test('no built-in type is forgotten, but those that take no value', async () => {
  const { rows } = await room.from.query<{ name: string }>(
    `select format_type(oid, null) as name from pg_type
      where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') and typcategory <> 'A'`,
  );
  const planted = await room.from.query<{ name: string }>(
    `select distinct format_type(atttypid, null) as name from pg_attribute where attrelid = 'every_type'::regclass`,
  );
  const known = new Set(planted.rows.map(({ name }) => name));
  for (const { name } of rows.filter((row) => !known.has(row.name))) {
    const takeValue = room.from.query(`select ''::${name}`);
    await expect(takeValue).rejects.toMatchObject({
      code: '0A000',
      message: expect.stringMatching(/cannot accept|not implemented/),
    });
  }
});

test('each type alone decides whether rows may travel as binary', async () => {
  const { columns, formats } = await room.source.probe({
    query: 'select * from every_type',
    key: [],
    cursor: null,
  });
  const binary = columns.filter((each) => chooseFormat([each], [], null, formats) === 'binary');
  expect(binary.map(({ name }) => name).toSorted()).toEqual(['id', ...tables['portable']!].toSorted());
});

const ways = writeModeNames.flatMap((mode) =>
  (['copy', 'cursor'] as const).flatMap((reader) =>
    Object.keys(tables).map((table) => ({ mode, reader, table })),
  ),
);

describe.each(ways)('$mode of $table, read by $reader', ({ mode, reader, table }) => {
  const types = tables[table]!;
  let sync: TestSync;
  let receipt: Receipt;
  let sent: Map<string, unknown[]>;
  let arrived: Map<string, unknown[]>;
  beforeAll(async () => {
    await room.to.query('drop table if exists target');
    sync = room.sync({ query: `select * from ${table}`, key: ['id'], mode }, reader);
    receipt = await room.run(sync);
    sent = await fetchValues(room.from, table, types);
    arrived = await fetchValues(room.to, 'target', types);
  });

  test('it travels as binary where every type allows it', async () => {
    const { plan } = await room.prepare(sync, newId('run'));
    expect(plan.format).toBe(reader === 'copy' && table === 'portable' ? 'binary' : 'text');
    await room.destination.acceptLoad(sync.id);
  });

  test('verify finds both sides equal', async () => {
    expect(await verifySync(room, sync)).toMatchObject({ equal: true, destinationRows: receipt.read });
  });

  test('every value of every type arrives unchanged', () => {
    const changed = types.filter((type) => !isDeepStrictEqual(arrived.get(type), sent.get(type)));
    expect(changed.map((type) => [type, arrived.get(type)])).toEqual(
      changed.map((type) => [type, sent.get(type)]),
    );
    expect(receipt.inserted).toBe(sent.get('text')!.length);
  });

  test('every column has the type that it has at the source', async () => {
    const types = (
      relation: string,
    ) => `select attname, format_type(atttypid, atttypmod) as type from pg_attribute
      where attrelid = '${relation}'::regclass and attnum > 0 order by attnum`;
    const { rows: there } = await room.from.query(types(table));
    const { rows: here } = await room.to.query(types('target'));
    // A domain counts as its base type: its checks are the source's.
    const expected = there.map((row) => ({
      ...row,
      type: row.type === 'short_text' ? 'character varying(10)' : row.type,
    }));
    expect(here).toEqual(expected);
  });

  if (mode === 'upsert' || mode === 'mirror')
    test('rows that are the same are not rewritten', async () => {
      const before = await rowsAsText(room.to, 'select id, xmin::text from target');
      expect(await room.run(sync)).toMatchObject({ unchanged: receipt.read, inserted: 0, updated: 0 });
      expect(await rowsAsText(room.to, 'select id, xmin::text from target')).toEqual(before);
    });
});

test('a type that the destination does not know arrives as text', async () => {
  await room.from.query(`create type only_here as enum ('a', 'b')`);
  await room.from.query(`create table exotic (id integer primary key, value only_here)`);
  await room.from.query(`insert into exotic values (1, 'a'), (2, 'b'), (3, null)`);
  await room.run(room.sync({ query: 'select * from exotic', key: ['id'], table: 'exotic' }));
  const sent = await rowsAsText(room.from, 'select id, value::text from exotic');
  expect(await rowsAsText(room.to, 'select id, value from exotic')).toEqual(sent);
});

describe('a target with other types', () => {
  test.each([
    'text',
    'character varying',
    'integer',
    'bigint',
    'numeric',
    'numeric(30,5)',
    'double precision',
    'timestamp with time zone',
    'character varying(20)',
  ])('whose columns are all %s takes only those that read the same there', async (target) => {
    const { columns } = await room.source.probe({ query: 'select * from every_type', key: [], cursor: null });
    const fits = columns.flatMap(({ name, typeName }) =>
      scalars.includes(name) && typeName !== target && keepsValues(typeName, target) ? [name] : [],
    );
    expect(fits.length).toBeGreaterThan(0);
    await room.to.query(
      `drop table if exists target; create table target (id integer primary key, ${fits.map((type) => `${column(type)} ${target}`).join(', ')})`,
    );
    await room.run(
      room.sync({ query: `select id, ${fits.map(column).join(', ')} from every_type`, key: ['id'] }),
    );
    expect(await fetchValues(room.to, 'target', fits)).toEqual(
      await fetchValues(room.from, 'every_type', fits),
    );
  });
});

test('a change that the type’s own equality does not see is written', async () => {
  await room.from.query(
    `create table subtle (id integer primary key, n numeric, f float8, i interval, b box, j jsonb, a numeric[])`,
  );
  await room.from.query(
    `insert into subtle values (1, 1.0, 0, '1 day', '(2,2),(0,0)', '{"a": 1.0}', '{1.0}')`,
  );
  const sync = room.sync({ query: 'select * from subtle', key: ['id'], mode: 'upsert', table: 'subtle' });
  await room.run(sync);
  await room.from.query(
    `update subtle set n = 1.00, f = '-0', i = '24:00', b = '(4,1),(0,0)', j = '{"a": 1.00}', a = '{1.00}'`,
  );
  expect(await room.run(sync)).toMatchObject({ read: 1, updated: 1 });
  expect(await rowsAsText(room.to, 'select * from subtle')).toEqual(
    await rowsAsText(room.from, 'select * from subtle'),
  );
});
