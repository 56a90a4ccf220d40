/** CSV that any reader of RFC 4180 takes, and no spreadsheet computes. */
import { expect, test } from '@jest/globals';
import { csvLine } from '../../../src/cli/csv.ts';

test('quotes are doubled, what has a comma, a quote or a line end is quoted, and a line ends with CR LF', () => {
  expect(csvLine(['a', 'b,c', 'say "x"', 'two\nlines', 7, -1, null])).toBe(
    'a,"b,c","say ""x""","two\nlines",7,-1,\r\n',
  );
});

test.each(['=1+1', '+1', '-1', '@sum(A1)', '\tx', '\rx'])('%j is marked as text', (value) => {
  expect(csvLine([value])).toMatch(/^"?'/);
});
