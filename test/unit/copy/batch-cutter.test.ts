/** The cutter, on random rows, ties, slices and limits: what it yields is the input, and every cut is at a change of key. */
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createCutter, type BatchPart, type CutterOptions } from '../../../src/copy/batch-cutter.ts';
import { encodeRow } from '../../../src/copy/encode-rows.ts';
import type { KeyText, ResultColumn, RowFormat, RowSlice } from '../../../src/ports/source.ts';

const columns: ResultColumn[] = [
  { name: 'note', typeOid: 25, typeName: 'text' },
  { name: 'a', typeOid: 23, typeName: 'integer' },
  { name: 'b', typeOid: 25, typeName: 'text' },
];

type Row = [note: string | null, a: number | null, b: string | null];

function encode(format: RowFormat, [note, a, b]: Row): Buffer {
  if (format === 'text') return Buffer.from(encodeRow([note, a === null ? null : String(a), b]));
  const int32 = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(value);
    return bytes;
  };
  const field = (bytes: Buffer | null) => (bytes ? [int32(bytes.length), bytes] : [int32(-1)]);
  const text = (value: string | null) => (value === null ? null : Buffer.from(value));
  return Buffer.concat([
    Buffer.from([0, 3]),
    ...field(text(note)),
    ...field(a === null ? null : int32(a)),
    ...field(text(b)),
  ]);
}

/** Rows packed into slices of the given sizes, the last size repeated. */
function slicesOf(rows: readonly Buffer[], sizes: readonly number[]): (RowSlice & { released: number })[] {
  const slices = [];
  let at = 0;
  for (let i = 0; at < rows.length; i++) {
    const taken = rows.slice(at, at + (sizes[i] ?? sizes.at(-1)!));
    const slice = {
      bytes: Buffer.concat(taken),
      rows: taken.length,
      released: 0,
      release: () => void slice.released++,
    };
    slices.push(slice);
    at += taken.length;
  }
  return slices;
}

interface CutBatch {
  bytes: Buffer;
  rows: number;
  lastKey: KeyText;
}

/** Everything cut, as batches; the last one has what was left. */
function cutAll(options: Partial<CutterOptions>, slices: readonly RowSlice[]): CutBatch[] {
  const cutter = createCutter({
    format: 'text',
    columns,
    key: ['a', 'b'],
    uniqueKey: false,
    maxRows: 1_000_000,
    maxBytes: 1 << 30,
    ...options,
  });
  const batches: CutBatch[] = [];
  let parts: BatchPart[] = [];
  const end = () => {
    if (parts.length === 0) return;
    const slices = parts.map((part) => part.slice);
    batches.push({
      bytes: Buffer.concat(slices.map((slice) => slice.bytes)),
      rows: slices.reduce((sum, slice) => sum + slice.rows, 0),
      lastKey: cutter.lastKey(slices.at(-1)!),
    });
    for (const slice of slices) slice.release();
    parts = [];
  };
  const take = (part: BatchPart) => {
    parts.push(part);
    if (part.ends) end();
  };
  for (const slice of slices) for (const part of cutter.cut(slice)) take(part);
  for (const part of cutter.end()) take(part);
  end();
  return batches;
}

const formats = ['binary', 'text'] as const;
const note = fc.option(fc.string({ maxLength: 12 }), { nil: null });
const sortedByKey = (rows: Row[]): Row[] =>
  rows.sort((x, y) => x[1]! - y[1]! || Buffer.compare(Buffer.from(x[2]!), Buffer.from(y[2]!)));

function largestTie(rows: readonly Row[]): number {
  const counts = new Map<string, number>();
  for (const [, a, b] of rows) counts.set(`${a}|${b}`, (counts.get(`${a}|${b}`) ?? 0) + 1);
  return Math.max(...counts.values());
}

describe.each(formats)('%s', (format) => {
  const tied = fc
    .array(fc.tuple(note, fc.integer({ min: 0, max: 8 }), fc.constantFrom('', 'x', 'a\tb', '\\N', 'é')), {
      minLength: 1,
      maxLength: 80,
    })
    .map((rows) => sortedByKey(rows as Row[]));
  // A slice without rows says that memory is spent.
  const sizes = fc
    .tuple(fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 20 }), fc.integer({ min: 1, max: 9 }))
    .map(([some, rest]) => [...some, rest]);

  test('a key that may repeat is never split over two batches, and no row is lost, doubled or moved', () => {
    fc.assert(
      fc.property(tied, sizes, fc.integer({ min: 1, max: 30 }), (rows, sizes, maxRows) => {
        const ties = largestTie(rows);
        fc.pre(ties <= maxRows);
        const encoded = rows.map((row) => encode(format, row));
        const slices = slicesOf(encoded, sizes);
        const batches = cutAll({ format, maxRows }, slices);
        expect(Buffer.concat(batches.map((batch) => batch.bytes))).toEqual(Buffer.concat(encoded));
        expect(slices.map((slice) => slice.released)).toEqual(slices.map(() => 1));
        let at = 0;
        for (const batch of batches) {
          at += batch.rows;
          const [, a, b] = rows[at - 1]!;
          expect(batch.lastKey).toEqual([String(a), b]);
          const next = rows[at];
          if (next) {
            expect([String(next[1]), next[2]]).not.toEqual(batch.lastKey);
            expect(batch.rows).toBeGreaterThanOrEqual(maxRows);
            expect(batch.rows).toBeLessThan(maxRows + ties);
          }
        }
        expect(at).toBe(rows.length);
      }),
      { numRuns: 300 },
    );
  });

  test('a unique key is cut at exactly the batch’s rows', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        sizes,
        fc.integer({ min: 1, max: 30 }),
        (count, sizes, maxRows) => {
          const encoded = Array.from({ length: count }, (_, i) => encode(format, [null, i, 'k']));
          const batches = cutAll({ format, maxRows, uniqueKey: true }, slicesOf(encoded, sizes));
          expect(Buffer.concat(batches.map((batch) => batch.bytes))).toEqual(Buffer.concat(encoded));
          const whole = Math.floor(count / maxRows);
          expect(batches.map((batch) => batch.rows)).toEqual([
            ...Array.from({ length: whole }, () => maxRows),
            ...(count % maxRows > 0 ? [count % maxRows] : []),
          ]);
        },
      ),
    );
  });

  test('a batch ends with the row that reaches its bytes, and a larger row is a batch of its own', () => {
    const row = (i: number, length: number) => encode(format, ['x'.repeat(length), i, 'k']);
    const encoded = [row(1, 10), row(2, 10), row(3, 5_000), row(4, 10), row(5, 10)];
    for (const uniqueKey of [true, false]) {
      const batches = cutAll({ format, maxBytes: 60, uniqueKey }, slicesOf(encoded, [2, 2]));
      expect(Buffer.concat(batches.map((batch) => batch.bytes))).toEqual(Buffer.concat(encoded));
      expect(batches.map((batch) => batch.rows)).toEqual(batches[0]!.rows === 2 ? [2, 1, 2] : [3, 2]);
    }
  });

  test('more rows of one key than a batch may have are KEY_TIE_TOO_LARGE, also over many slices', () => {
    const encoded = Array.from({ length: 11 }, () => encode(format, ['', 7, 'k']));
    for (const size of [1, 3, 11])
      expect(() => cutAll({ format, maxRows: 10 }, slicesOf(encoded, [size]))).toThrow(/11|10/);
    expect(cutAll({ format, maxRows: 11 }, slicesOf(encoded, [4]))).toHaveLength(1);
  });

  test('where keys with NULL are read, a NULL ties with another and is part of the last key', () => {
    const rows: Row[] = [
      ['', 1, null],
      ['', 2, null],
      ['', 2, null],
      ['', null, 'b'],
    ];
    const slices = (size: number) =>
      slicesOf(
        rows.map((row) => encode(format, row)),
        [size],
      );
    const batches = cutAll({ format, readsNullKeys: true, maxRows: 2 }, slices(4));
    expect(batches.map(({ lastKey }) => lastKey)).toEqual([
      ['2', null],
      [null, 'b'],
    ]);
    expect(() => cutAll({ format, readsNullKeys: true, maxRows: 1 }, slices(1))).toThrow(
      expect.objectContaining({ code: 'KEY_TIE_TOO_LARGE' }),
    );
  });

  test('a NULL in the key is KEY_NULL, wherever it stands', () => {
    const rows: Row[] = [
      [null, 1, 'a'],
      [null, 1, null],
      [null, 2, 'a'],
    ];
    const slices = slicesOf(
      rows.map((row) => encode(format, row)),
      [3],
    );
    expect(() => cutAll({ format }, slices)).toThrow(expect.objectContaining({ code: 'KEY_NULL' }));
  });
});
