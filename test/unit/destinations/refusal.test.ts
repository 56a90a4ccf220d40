/** Which errors of the server refuse rows, and what is told of them. */
import { expect, test } from '@jest/globals';
import { refusalOf } from '../../../src/destinations/postgres/refusal.ts';

const error = (code: string, more: object = {}) => Object.assign(new Error('words'), { code, ...more });

test('a value that does not fit and a constraint do, with what the server names', () => {
  const where = 'COPY penstock_stage, line 3, column at: "x"';
  expect(refusalOf(error('22007', { where }))).toEqual({
    sqlstate: '22007',
    column: 'at',
    constraint: null,
    cause: 'words',
    row: 2,
  });
  const named = { constraint: 'one_each', detail: 'Key (id)=(5)', schema: 'public', table: 'target' };
  expect(refusalOf(error('23505', named))).toEqual({
    sqlstate: '23505',
    column: null,
    constraint: 'one_each',
    cause: 'words: Key (id)=(5)',
    row: null,
  });
  expect(refusalOf(error('23502', { column: 'id', where }))).toMatchObject({ column: 'id', row: 2 });
});

test.each([
  ['our own framing', error('22P04')],
  ['a trigger’s error', error('P0001')],
  ['a lost connection', error('57P01')],
  ['one that is not the server’s', error('ECONNRESET')],
  ['our own tables', error('23505', { schema: '_penstock', table: 'checkpoint' })],
])('%s does not', (_, thrown) => {
  expect(refusalOf(thrown)).toBeNull();
});

test('what a load’s shadow refuses is the user’s', () => {
  expect(refusalOf(error('23514', { schema: '_penstock', table: 'lod_1' }))).not.toBeNull();
});
