/** Which columns of a target keep every value of the result's: the limits of each type. */
import { describe, expect, test } from '@jest/globals';
import { findMisfits, keepsValues } from '../../../src/copy/column-fit.ts';

describe('a column keeps the values of', () => {
  test.each([
    ['integer', 'integer'],
    ['smallint', 'bigint'],
    ['bigint', 'numeric'],
    ['real', 'double precision'],
    ['numeric(10,2)', 'numeric(12,2)'],
    ['numeric(10,2)', 'numeric'],
    ['character varying(5)', 'character varying(6)'],
    ['character varying(5)', 'text'],
    ['timestamp(3) with time zone', 'timestamp with time zone'],
    ['jsonb', 'text'],
  ])('%s, as %s', (from, to) => expect(keepsValues(from, to)).toBe(true));

  test.each([
    ['bigint', 'integer'],
    ['integer', 'double precision'],
    ['numeric', 'numeric(10,2)'],
    ['numeric(10,2)', 'numeric(12,3)'],
    ['numeric(10,2)', 'numeric(9,2)'],
    ['double precision', 'real'],
    ['text', 'character varying(10)'],
    ['character varying(6)', 'character varying(5)'],
    ['character(3)', 'text'],
    ['character(3)', 'character(5)'],
    ['boolean', 'text'],
    ['inet', 'character varying'],
    ['timestamp with time zone', 'timestamp(3) with time zone'],
    ['timestamp(3) with time zone', 'timestamp(6) with time zone'],
    ['timestamp without time zone', 'timestamp with time zone'],
    ['json', 'jsonb'],
  ])('not %s, as %s', (from, to) => expect(keepsValues(from, to)).toBe(false));
});

test('all that does not fit is listed', () => {
  const column = (name: string, typeName: string) => ({ name, typeName, typeOid: 0 });
  const result = [column('a', 'bigint'), column('b', 'text'), column('c', 'date'), column('d', 'date')];
  const target = [column('a', 'integer'), column('b', 'character varying(5)'), column('d', 'date')];
  expect(findMisfits(result, target)).toEqual([
    'has integer for the column a, which may not hold every bigint unchanged',
    'has character varying(5) for the column b, which may not hold every text unchanged',
    'has no column c',
  ]);
});
