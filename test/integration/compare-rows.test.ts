/** The comparison that the demo and the fault tests rest on must see every kind of difference. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import type { Comparison } from '../../src/dev/demo/compare-rows.ts';
import { compareRows, isEqual } from '../../src/dev/demo/compare-rows.ts';
import { changeSubscribers, createSubscribers } from '../../src/dev/demo/subscribers.ts';
import type { TestDatabase } from '../support/stack.ts';
import { createDatabase } from '../support/stack.ts';

const rows = 3_000;
let source: TestDatabase;
let destination: TestDatabase;
let client: Client;

/** The destination has the same rows in a table without a key, so that a row may come twice. */
beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  await createSubscribers(source.url, rows);
  await createSubscribers(destination.url, rows);
  client = new Client({ connectionString: destination.url });
  await client.connect();
  await client.query('alter table subscriber drop constraint subscriber_pkey');
});

afterAll(async () => {
  await client.end();
  await destination.drop();
  await source.drop();
});

const compare = (changes: Partial<Comparison> = {}) =>
  compareRows({
    source: { url: source.url, query: 'select * from subscriber' },
    destination: { url: destination.url, query: 'select * from subscriber' },
    key: ['id'],
    ...changes,
  });

/** Compares with the rows changed by one statement, and puts them back. */
async function compareAfter(sql: string) {
  await client.query('create table kept as table subscriber');
  await client.query(sql);
  const found = await compare({ parts: 2 });
  await client.query('truncate subscriber; insert into subscriber table kept; drop table kept');
  return found;
}

describe('the comparison of two databases', () => {
  test('finds no difference between equal tables, whole or in parts', async () => {
    for (const parts of [1, 3]) {
      const found = await compare({ parts });
      expect(found).toMatchObject({ sourceRows: rows, destinationRows: rows, examples: [] });
      expect(isEqual(found)).toBe(true);
    }
  });

  test.each([
    ['a row that is missing', 'delete from subscriber where id = 7', { missing: 1, examples: ['(7)'] }],
    [
      'a row that should not be there',
      'insert into subscriber select (jsonb_populate_record(s, $${"id": -7}$$)).* from subscriber s where id = 7',
      { extra: 1, examples: ['(-7)'] },
    ],
    [
      'a row that came twice',
      'insert into subscriber select * from subscriber where id in (7, 8)',
      { duplicated: 2, missing: 0, extra: 0, different: 0 },
    ],
    [
      'one row missing and another one twice',
      `insert into subscriber select * from subscriber where id = 8; delete from subscriber where id = 7`,
      { duplicated: 1, missing: 1 },
    ],
  ])('sees %s', async (_, sql, expected) => {
    const found = await compareAfter(sql);
    expect(found).toMatchObject(expected);
    expect(isEqual(found)).toBe(false);
  });

  test.each([
    ['a trailing zero of a number', 'balance = 1.1', 'id = 6'],
    ['the sign of zero', `score = '0'`, `score::text = '-0'`],
    ['a microsecond', `signed_up_at = signed_up_at + interval '1 microsecond'`, 'id = 6'],
    ['the bounds of an array', `quota = '{1,2,3}'`, `quota = '[-1:1]={1,2,3}'`],
    ['NULL instead of the empty string', `name = null`, `name = ''`],
    ['SQL NULL instead of JSON null', `profile = null`, `profile = 'null'`],
    [
      'digits of a large number in JSON',
      `profile = '{"n": null, "big": 123456789012345680000000000000}'`,
      `profile ? 'big'`,
    ],
    [
      'a NULL element instead of the word',
      `tags = '{NULL,NULL,"",a b,"c,d","{e}","q\\"\\\\"}'`,
      `array_length(tags, 1) = 7`,
    ],
  ])('sees a change of %s', async (_, assignment, condition) => {
    const found = await compareAfter(
      `update subscriber set ${assignment} where id = (select min(id) from subscriber where ${condition})`,
    );
    expect(found).toMatchObject({ different: 1, missing: 0, extra: 0, duplicated: 0 });
  });

  test('refuses a key that is not unique at the source', async () => {
    await expect(compare({ key: ['plan'] })).rejects.toMatchObject({ code: '23505' });
  });

  test('finds exactly the rows that the demo changes and adds', async () => {
    const copy = await createDatabase();
    await createSubscribers(copy.url, rows);
    await changeSubscribers(copy.url, { rows, changed: 40, added: 9 });
    const found = await compare({ source: { url: copy.url, query: 'select * from subscriber' } });
    expect(found).toMatchObject({ different: 40, missing: 9, extra: 0, duplicated: 0 });
    await copy.drop();
  });
});
