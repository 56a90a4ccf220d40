/** What a plan expects to be deleted, from what the two planners guess. */
import { expect, test } from '@jest/globals';
import { describeDeletes } from '../../../src/copy/describe-fate.ts';

type Parts = Parameters<typeof describeDeletes>;
const expected = (source: number | null, target: number | null, plan: object = {}): number | null =>
  describeDeletes(
    { estimatedRows: source } as Parts[0],
    { mode: 'mirror', cursor: null, ...plan } as Parts[1],
    { estimatedRows: target, exists: true } as Parts[2],
    20,
  ).expected;

test('as many rows as the target has more than the result, never fewer than none', () => {
  expect(expected(100, 140.4)).toBe(40);
  expect(expected(140, 100)).toBe(0);
});

test('nobody knows where a side has no guess, or a window is read of it', () => {
  expect(expected(null, 100)).toBeNull();
  expect(expected(100, null)).toBeNull();
  expect(expected(100, 140, { cursor: { column: 'at' } })).toBeNull();
  expect(expected(100, 140, { deletedWhen: { column: 'gone' } })).toBeNull();
});
