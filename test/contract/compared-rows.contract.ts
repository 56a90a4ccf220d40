/** What a source does whose rows can be compared (src/ports/comparison.ts). Called by a test file of each. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { bucketBits, type SourceRows } from '../../src/ports/comparison.ts';
import type { PlannedCursor } from '../../src/ports/source.ts';
import { contractColumns, contractRows, type SourceFixture } from './source.contract.ts';

/** Of the first row: `(-250,,,"2024-01-01 00:00:00")`. */
const golden = { key: '(-250)', hash: '107389654787619047' };
const goldenBucket = 38;

const { signal } = new AbortController();
const all = { path: [] };
const buckets = Array.from({ length: 2 ** bucketBits }, (_, bucket) => bucket);
const cursor: PlannedCursor = { column: 'seen', lookbackMs: 0, lagMs: 100, nulls: 'refuse' };

const rowsOf = (sums: readonly { rows: number }[]) => sums.reduce((total, { rows }) => total + rows, 0);
const sumOf = (hashes: readonly string[]) => hashes.reduce((total, hash) => total + BigInt(hash), 0n);

export function describeComparedRows(name: string, createFixture: () => Promise<SourceFixture>): void {
  describe(`rows of the source ${name} that are compared`, () => {
    let fixture: SourceFixture;
    beforeAll(async () => {
      fixture = await createFixture();
    });
    afterAll(() => fixture.end());

    const compared = (over: Partial<SourceRows> = {}) =>
      fixture.source.compare!({
        query: fixture.query,
        columns: contractColumns,
        key: ['id'],
        cursor: null,
        window: { low: null, high: null },
        runTime: undefined,
        mapping: undefined,
        deletedWhen: undefined,
        which: 'loaded',
        ...over,
      });

    test('have the hash that the port states, in the bucket that it states', async () => {
      const first = { upTo: '-250', path: [] };
      expect(await compared().listRows(first, buckets, signal)).toEqual([golden]);
      expect(await compared().sumBuckets(first, signal)).toEqual([
        { bucket: goldenBucket, rows: 1, sum: golden.hash },
      ]);
    });

    test('are summed by buckets, and a bucket by its own buckets', async () => {
      const rows = compared();
      const sums = await rows.sumBuckets(all, signal);
      const listed = await rows.listRows(all, buckets, signal);
      expect(rowsOf(sums)).toBe(contractRows.length);
      expect(sumOf(sums.map(({ sum }) => sum))).toBe(sumOf(listed.map(({ hash }) => hash)));
      const most = sums.toSorted((a, b) => b.rows - a.rows)[0]!;
      const inner = await rows.sumBuckets({ path: [most.bucket] }, signal);
      expect([rowsOf(inner), sumOf(inner.map(({ sum }) => sum))]).toEqual([most.rows, BigInt(most.sum)]);
      expect(await rows.listRows(all, [most.bucket], signal)).toHaveLength(most.rows);
    });

    test('lie in a range of the key, or in all of it', async () => {
      const count = async (part: object) =>
        rowsOf(await compared().sumBuckets({ path: [], ...part }, signal));
      expect(await count({ upTo: '-241' })).toBe(10);
      expect(await count({ after: '-241', upTo: '0' })).toBe(241);
      expect(await count({ after: '0' })).toBe(249);
    });

    test('are those of the windows so far, or those that come next', async () => {
      const window = { low: '20', high: '40' };
      const count = async (which: SourceRows['which'], nulls: PlannedCursor['nulls']) =>
        rowsOf(await compared({ which, cursor: { ...cursor, nulls }, window }).sumBuckets(all, signal));
      const seen = contractRows.flatMap(([, value]) => (value === null ? [] : Number(value)));
      const loaded = seen.filter((value) => value <= 40).length;
      expect(await count('loaded', 'refuse')).toBe(loaded);
      expect(await count('loaded', 'read')).toBe(loaded + contractRows.length - seen.length);
      expect(await count('later', 'refuse')).toBe(seen.length - loaded);
    });

    test('end with the signal’s reason', async () => {
      const reason = new Error('enough');
      await expect(compared().sumBuckets(all, AbortSignal.abort(reason))).rejects.toBe(reason);
    });
  });
}
