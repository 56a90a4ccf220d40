/** Placeholders become literals that we quote, where a value may stand and nowhere else. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { checkPlaceholders } from '../../../src/domain/placeholders.ts';
import { checkPlaces, fillIn, parseFilled } from '../../../src/sources/postgres/placeholders.ts';
import { parseSql } from '../../../src/sources/postgres/sql-parser.ts';

const values = {
  cursorType: 'timestamp with time zone',
  lookbackMs: 0,
  window: { low: '2024-01-01 00:00:00+00', high: '2024-02-01 00:00:00+00' },
  runTime: '2024-02-02 00:00:00+00',
};
const low = `('2024-01-01 00:00:00+00'::timestamp with time zone)`;

describe('a placeholder becomes a typed literal', () => {
  test.each([
    ['{{cursor}}', low],
    ['{{ cursor }}', low],
    ['{{last_sync_time}}', low],
    ['{{window.from}}', low],
    ['{{window.to}}', `('2024-02-01 00:00:00+00'::timestamp with time zone)`],
    ['{{run_time}}', `('2024-02-02 00:00:00+00'::timestamp with time zone)`],
  ])('%s', (placeholder, expected) => {
    expect(fillIn(`select ${placeholder}, ${placeholder}`, values)).toBe(`select ${expected}, ${expected}`);
  });

  test('{{window.from}} begins where the rows of the window do: a lookback below the cursor', () => {
    const filled = fillIn('{{window.from}} {{cursor}}', { ...values, lookbackMs: 5_000 });
    expect(filled).toBe(`(${low} - interval '5000 milliseconds') ${low}`);
  });

  test.each([
    [
      'timestamp with time zone',
      `('-infinity'::timestamp with time zone)`,
      `('infinity'::timestamp with time zone)`,
    ],
    [
      'timestamp(3) without time zone',
      `('-infinity'::timestamp without time zone)`,
      `('infinity'::timestamp without time zone)`,
    ],
    ['date', `('-infinity'::date)`, `('infinity'::date)`],
    ['integer', `('-2147483648'::integer)`, `('2147483647'::integer)`],
    ['bigint', `('-9223372036854775808'::bigint)`, `('9223372036854775807'::bigint)`],
    ['numeric(10,2)', `('-Infinity'::numeric)`, `('NaN'::numeric)`],
  ])(
    'of a first load of %s it is the least value, and the end of a window without one the greatest',
    (cursorType, from, to) => {
      const window = { low: null, high: null };
      expect(fillIn('{{cursor}} {{window.to}}', { ...values, cursorType, window })).toBe(`${from} ${to}`);
    },
  );

  test.each([
    ['text', '{{last_sync_time}}', 'is a time'],
    ['bigint', '{{last_sync_time}}', 'is a time'],
    ['text', '{{window.to}}', 'has no value'],
  ])('a cursor of %s has no %s', (cursorType, placeholder, message) => {
    const unfit = () => fillIn(placeholder, { ...values, cursorType, window: { low: null, high: null } });
    expect(unfit).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST', message: expect.stringContaining(message) }),
    );
  });
});

describe('a value stays a value', () => {
  const filled = (value: string) =>
    parseFilled({
      query: 'select * from t where a > {{cursor}}',
      columns: [{ name: 'a', typeOid: 25, typeName: 'text' }],
      cursor: { column: 'a', lookbackMs: 0, lagMs: 0, nulls: 'read' },
      window: { low: value, high: null },
    });

  test.each([
    `'; drop table users; --`,
    `\\'; drop table users; --`,
    `' or true or '`,
    '{{cursor}} {{run_time}}',
    "$1 $& $$ $' $`",
    '\n/* */ --',
    "E'\\",
  ])('%j', async (value) => {
    const { sql } = await filled(value);
    expect(await constantsOf(sql)).toEqual([value]);
  });

  test('any text at all', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary', maxLength: 30 }).filter((text) => !text.includes('\0')),
        async (value) => {
          expect(await constantsOf((await filled(value)).sql)).toEqual([value]);
        },
      ),
      { numRuns: 100 },
    );
  });

  /** String constants of the one statement that there must be. */
  const constantsOf = async (sql: string): Promise<string[]> => {
    const { stmts } = (await parseSql(sql)) as unknown as { stmts: unknown[] };
    expect(stmts).toHaveLength(1);
    const found: string[] = [];
    JSON.stringify(stmts, (key, item: { sval?: { sval?: string } }) => {
      if (key === 'A_Const' && item.sval) found.push(item.sval.sval ?? '');
      return item;
    });
    return found;
  };
});

test.each([
  ['select {{cursor}}', undefined, 'BAD_REQUEST'],
  ['select {{run_time}}, {{window.from}}', undefined, 'BAD_REQUEST'],
  ['select {{run_time}}', undefined, null],
  ['select {{cursor}}', { column: 'at' }, null],
])('a sync needs a cursor for what is taken from it: %s', (query, cursor, code) => {
  const check = () => checkPlaceholders({ source: { connection: 'c', query }, cursor });
  if (code === null) check();
  else expect(check).toThrow(expect.objectContaining({ code, pointer: '/source/query' }));
});

describe('where a placeholder may stand', () => {
  test.each([
    'select * from t where at > {{cursor}} - interval $$1 day$$',
    'with new as (select * from t where at between {{window.from}} and {{window.to}}) select * from new',
    'select {{run_time}} as run_at, t.* from t',
    'select f({{cursor}}) from t',
    `select '{{a,b},{c,d}}'::text[]`,
    `select '{{a}}'::text[] -- {{b}}`,
  ])('%s', async (query) => {
    await checkPlaces(query);
  });

  test.each([
    ['quotes', `select '{{cursor}}'`],
    ['quotes with text around it', `select 'since {{cursor}}, {{run_time}}'`],
    ['dollar quotes', 'select $x$ {{cursor}} $x$'],
    ['a name', 'select "{{cursor}}" from t'],
    ['a comment to the end of the line', 'select 1 -- {{cursor}}'],
    ['a comment', 'select 1 /* {{cursor}} */'],
    ['the end of a name', 'select a{{cursor}} from t'],
    ['one place that is fine and one that is not', `select {{cursor}}, '{{cursor}}'`],
  ])('not inside %s', async (_, query) => {
    await expect(checkPlaces(query)).rejects.toMatchObject({
      code: 'QUERY_NOT_ALLOWED',
      pointer: '/source/query',
      message: expect.stringContaining('stands inside'),
    });
  });

  test.each([
    'select {{curser}}',
    'select {{window}} from t',
    'select * from {{table}} where a > {{cursor}}',
  ])('one that does not exist is refused with those that do: %s', async (query) => {
    await expect(checkPlaces(query)).rejects.toMatchObject({
      code: 'QUERY_NOT_ALLOWED',
      message: expect.stringContaining('{{cursor}}, {{last_sync_time}}'),
    });
  });

  test.each([
    'select * from {{cursor}}',
    'select 1 as {{cursor}}',
    'select {{cursor}} {{cursor}}',
    'select interval {{cursor}}',
  ])('and not where it is no value: %s', async (query) => {
    const filled = parseFilled({
      query,
      columns: [{ name: 'a', typeOid: 25, typeName: 'text' }],
      cursor: { column: 'a', lookbackMs: 0, lagMs: 0, nulls: 'read' },
      window: { low: 'x', high: null },
    });
    await expect(filled).rejects.toMatchObject({ pointer: '/source/query' });
  });
});
