/** What may be read, and what can be continued: a real parser decides, never a regular expression. */
import { describe, expect, test } from '@jest/globals';
import { parseQuery } from '../../../src/sources/postgres/parse-query.ts';

describe('READ ONLY is no sandbox: only one SELECT that changes nothing passes', () => {
  test.each([
    ['two statements', 'select 1; select 2'],
    ['a COMMIT behind it', 'select 1; commit; drop table users'],
    ['nothing', ' -- nothing'],
    ['INSERT', 'insert into t values (1)'],
    ['a data-changing WITH', 'with d as (delete from t returning *) select * from d'],
    [
      'a data-changing WITH further in',
      'select * from (with u as (update t set a = 1 returning *) select * from u) x',
    ],
    ['SELECT INTO', 'select * into t2 from t'],
    ['FOR UPDATE', 'select * from t for update'],
    ['SET', 'set transaction read write'],
    ['COPY TO PROGRAM', `copy (select 1) to program 'sh'`],
    ['DO', 'do $$ begin end $$'],
    ['EXPLAIN ANALYZE', 'explain analyze select 1'],
    ['a parameter', 'select $1::int'],
    ['CALL', 'call p()'],
  ])('%s is refused', async (_, query) => {
    await expect(parseQuery(query)).rejects.toMatchObject({
      code: 'QUERY_NOT_ALLOWED',
      pointer: '/source/query',
    });
  });

  test('a query that is nested as deeply as its length allows is looked through', async () => {
    const many = 'select 1 '.concat('union select 1 '.repeat(6_000));
    expect((await parseQuery(many)).relations).toEqual([]);
    const spoiled = many.replace('union', 'union select $1 union');
    await expect(parseQuery(spoiled)).rejects.toMatchObject({ code: 'QUERY_NOT_ALLOWED' });
  });

  test('a syntax error names its position and quotes nothing', async () => {
    const query = `select 'secret' frm 'other secret' where`;
    await expect(parseQuery(query)).rejects.toMatchObject({
      code: 'SOURCE_SQL',
      message: expect.not.stringContaining('secret'),
    });
  });

  test.each([
    ['a trailing semicolon', 'select 1;', 'select 1'],
    ['a trailing comment', 'select 1 -- one', 'select 1 -- one'],
    ['text of more bytes than characters before it', `/* é😀 */ select 'ü' as a;  `, `select 'ü' as a`],
    ['VALUES', 'values (1), (2)', 'values (1), (2)'],
    [
      'a WITH that only reads',
      'with a as (select 1) select * from a',
      'with a as (select 1) select * from a',
    ],
  ])('%s is fine', async (_, query, sql) => {
    expect((await parseQuery(query)).sql).toBe(sql);
  });
});

describe('what forbids continuing', () => {
  test.each([
    ['select * from t limit 10', 'it has LIMIT'],
    ['select * from t fetch first 10 rows only', 'it has LIMIT'],
    ['select * from (select * from t limit 5) x', 'it has LIMIT'],
    ['select * from t offset 5', 'it has OFFSET'],
    ['select * from t tablesample system (1)', 'it has TABLESAMPLE'],
    ['select now(), * from t', 'it calls now()'],
    ['select * from t where d < current_date', 'it uses current_date'],
    ['select * from t where d < current_timestamp(3)', 'it uses current_timestamp'],
    ['select * from t where d < localtime', 'it uses localtime'],
    ['select age(born) from t', 'it calls age()'],
  ])('%s', async (query, reason) => {
    expect((await parseQuery(query)).unstable).toEqual([reason]);
  });

  test.each([
    'select current_user, * from t',
    'select * from t limit all',
    'select age(a, b) from t',
    'select * from t order by a',
  ])('not %s', async (query) => {
    expect((await parseQuery(query)).unstable).toEqual([]);
  });
});

describe('one table, no row of it twice', () => {
  test.each(['select * from t', 'select a, lower(b) from s.t where a > 1 order by b'])(
    '%s',
    async (query) => {
      expect((await parseQuery(query)).onlyTable).toMatchObject({ name: 't' });
    },
  );

  test.each([
    'select * from t, u',
    'select * from t join u using (a)',
    'select * from t union all select * from t',
    'select a from t group by a',
    'select distinct a from t',
    'with t as (select 1 as a union all select 1) select * from t',
    'select * from (select * from t) x',
    'select 1',
  ])('not %s', async (query) => {
    expect((await parseQuery(query)).onlyTable).toBeNull();
  });
});
