/** What a spec may say of columns; types go into SQL as they stand, so only names and numbers pass. */
import { describe, expect, test } from '@jest/globals';
import { checkColumnMapping, columnMappingSchema } from '../../src/domain/column-mapping-spec.ts';

describe('a type to cast to', () => {
  const isAccepted = (type: string): boolean => columnMappingSchema.safeParse({ cast: { a: type } }).success;

  test.each([
    'integer',
    'bigint',
    'text',
    'text[]',
    'integer[][]',
    'numeric(10,2)',
    'numeric(10, -2)',
    'varchar(20)',
    'character varying(20)',
    'double precision',
    'timestamp with time zone',
    'timestamp(3) without time zone',
    'app.mood',
    'timestamptz(3)[]',
  ])('%s', (type) => expect(isAccepted(type)).toBe(true));

  test.each([
    '',
    'text, (select 1)',
    'text) as x, (select 1',
    'int; drop table t',
    `text from pg_shadow`,
    'text--',
    'text/**/',
    '"Mood"',
    `interval '1'`,
    'numeric((select 1))',
    'numeric(a)',
    'a.b.c',
    'text collate "C"',
    'text is null',
    'text\n',
    'int[5]',
    '1',
    'Text',
  ])('not %j', (type) => expect(isAccepted(type)).toBe(false));
});

test.each([
  [{ omit: ['a'], rename: { a: 'b' } }, '/columns/omit/0'],
  [{ omit: ['x', 'a'], cast: { a: 'text' } }, '/columns/omit/1'],
  [{ omit: ['a'], hash: ['a'] }, '/columns/omit/0'],
  [{ hash: ['a'], cast: { a: 'text' } }, '/columns/hash/0'],
  [{ rename: { a: 'c', b: 'c' } }, '/columns/rename/b'],
])('members that exclude each other are refused: %j', (mapping, pointer) => {
  expect(() => checkColumnMapping(mapping)).toThrow(
    expect.objectContaining({ code: 'BAD_REQUEST', pointer }),
  );
});

test('members that do not are fine', () => {
  checkColumnMapping({
    rename: { a: 'b', b: 'a' },
    omit: ['c', 'constructor'],
    cast: { a: 'text' },
    hash: ['b'],
  });
});
