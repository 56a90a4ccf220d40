/** A read at a pace: the same rows in parts, and nothing that waits stays behind. */
import { beforeEach, expect, test } from '@jest/globals';
import { paceRead } from '../../../src/copy/pace-read.ts';
import type { Amount } from '../../../src/copy/read-pace.ts';
import type { RowFormat, RowSlice, SourceRead } from '../../../src/ports/source.ts';

let released: string[];
let closed: number;
let taken: Amount[];
/** What `take` answers, in turn; then 0. */
let waits: number[];
let part: Amount;
beforeEach(() => {
  [released, closed, taken, waits] = [[], 0, [], []];
  part = { rows: 2, bytes: Infinity };
});

const slice = (text: string, rows = text.split('\n').length - 1): RowSlice => ({
  bytes: Buffer.from(text, 'latin1'),
  rows,
  release: () => void released.push(text),
});

function pacedRead(slices: RowSlice[], signal = new AbortController().signal, format: RowFormat = 'text') {
  const read: SourceRead = {
    next: async () => slices.shift() ?? null,
    close: async () => void closed++,
  };
  const pace = {
    get part() {
      return part;
    },
    take: (amount: Amount) => {
      const waitMs = waits.shift() ?? 0;
      if (waitMs === 0) taken.push(amount);
      return waitMs;
    },
  };
  return paceRead(read, { pace, format, signal });
}

async function all(read: SourceRead): Promise<string[]> {
  const parts: string[] = [];
  for (let next = await read.next(); next; next = await read.next()) {
    parts.push(next.bytes.toString('latin1'));
    next.release();
  }
  return parts;
}

test('gives the rows in parts, and the slice’s memory back with the last of them', async () => {
  const read = pacedRead([slice('a\nb\nc\nd\ne\n'), slice('f\n')]);
  expect((await read.next())?.rows).toBe(2);
  expect(await all(read)).toEqual(['c\nd\n', 'e\n', 'f\n']);
  expect(taken.map(({ rows, bytes }) => [rows, bytes])).toEqual([
    [2, 4],
    [2, 4],
    [1, 2],
    [1, 2],
  ]);
  expect(released).toEqual(['a\nb\nc\nd\ne\n', 'f\n']);
});

test('bounds a part in bytes too, and gives a row that is larger alone', async () => {
  part = { rows: 10, bytes: 4 };
  expect(await all(pacedRead([slice('a\nb\nlong row\nc\n')]))).toEqual(['a\nb\n', 'long row\n', 'c\n']);
});

test('cuts COPY binary between rows', async () => {
  part = { rows: 1, bytes: Infinity };
  const row = (value: string) => `\0\x01\0\0\0\x01${value}`;
  expect(await all(pacedRead([slice(row('a') + row('\n'), 2)], undefined, 'binary'))).toEqual([
    row('a'),
    row('\n'),
  ]);
});

test('passes on at once that memory is spent', async () => {
  waits = [Infinity];
  expect(await pacedRead([slice('', 0)]).next()).toMatchObject({ rows: 0 });
});

test('a part that waits goes by what may pass when its turn comes', async () => {
  waits = [1];
  const read = pacedRead([slice('a\nb\nc\n')]);
  const next = read.next();
  part = { rows: 1, bytes: Infinity };
  expect((await next)?.rows).toBe(1);
});

test('closing ends the wait, and closes the read', async () => {
  waits = [Infinity];
  const read = pacedRead([slice('a\n')]);
  const next = read.next();
  await read.close();
  await expect(next).rejects.toThrow();
  expect(closed).toBe(1);
  expect(taken).toEqual([]);
});

test('cancelling ends the wait', async () => {
  waits = [Infinity];
  const cancel = new AbortController();
  const next = pacedRead([slice('a\n')], cancel.signal).next();
  cancel.abort(new Error('cancelled'));
  await expect(next).rejects.toThrow();
});
