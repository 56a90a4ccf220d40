/** P5: values arrive unchanged, byte for byte as text, whatever their type, format, mode and reader. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import type { Receipt } from '../../../src/domain/run-states.ts';
import { createPipeRoom, rowsAsText, type PipeRoom, type TestSync } from '../../support/pipe-room.ts';
import { awkwardValues, createTypes, localTypes } from '../../support/type-corpus.ts';
import { verifySync } from '../../support/verify-sync.ts';

let room: PipeRoom;
beforeAll(async () => {
  room = await createPipeRoom();
  await createTypes(room.from);
  await createTypes(room.to);
  await plantValues('portable', portable);
  await plantValues('every_type', Object.keys(awkwardValues));
});
afterAll(() => room.close());

const portable = Object.keys(awkwardValues).filter((type) => !localTypes.includes(type));

/** One column per type; row i holds each type's i-th value, NULL when there are no more. */
async function plantValues(table: string, types: readonly string[]): Promise<void> {
  const columns = types.map((type) => `${column(type)} ${type}`);
  await room.from.query(`create table ${table} (id integer primary key, ${columns.join(', ')})`);
  const rows = Math.max(...types.map((type) => awkwardValues[type]!.length)) + 1;
  for (let i = 0; i < rows; i++) {
    const values = types.map((type) => awkwardValues[type]![i] ?? null);
    const casts = types.map((type, k) => `$${k + 2}::text::${type}`);
    await room.from.query(`insert into ${table} values ($1, ${casts.join(', ')})`, [i, ...values]);
  }
}

const column = (type: string): string => `"${type.replaceAll('"', '""')}"`;

const ways = (['append', 'upsert', 'replace'] as const).flatMap((mode) =>
  (['copy', 'cursor'] as const).flatMap((reader) =>
    (['portable', 'every_type'] as const).map((table) => ({ mode, reader, table })),
  ),
);

describe.each(ways)('$mode of $table, read by $reader', ({ mode, reader, table }) => {
  let sync: TestSync;
  let receipt: Receipt;
  beforeAll(async () => {
    await room.to.query('drop table if exists target');
    sync = room.sync({ query: `select * from ${table}`, key: ['id'], mode }, reader);
    receipt = await room.run(sync);
  });

  const types = table === 'portable' ? portable : Object.keys(awkwardValues);

  test('it travels as binary where every type allows it', async () => {
    const { plan } = await room.prepare(sync, newId('run'));
    expect(plan.format).toBe(reader === 'copy' && table === 'portable' ? 'binary' : 'text');
    await room.destination.acceptLoad(sync.id);
  });

  test('verify finds both sides equal', async () => {
    expect(await verifySync(room, sync)).toMatchObject({ equal: true, destinationRows: receipt.read });
  });

  test.each(types)('every value of %s arrives unchanged', async (type) => {
    const sent = await rowsAsText(room.from, `select id, ${column(type)}::text from ${table}`);
    expect(await rowsAsText(room.to, `select id, ${column(type)}::text from target`)).toEqual(sent);
    expect(receipt.inserted).toBe(sent.length);
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
      type: row.type.replace('short_text', 'character varying(10)'),
    }));
    expect(here).toEqual(expected);
  });

  if (mode === 'upsert')
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
