/** Rows that are pushed, slices that are pulled: nothing is given away while it is being written. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { createRowMemory, sliceBytes } from '../../../src/copy/row-memory.ts';
import { SliceQueue } from '../../../src/sources/postgres/slice-queue.ts';

let flow: string[];
let queue: SliceQueue;
beforeEach(() => {
  jest.useFakeTimers();
  flow = [];
  queue = open();
});
afterEach(() => {
  jest.useRealTimers();
});

const open = (limitBytes?: number): SliceQueue =>
  new SliceQueue(createRowMemory(limitBytes), {
    pause: () => void flow.push('pause'),
    resume: () => void flow.push('resume'),
  });

const put = (row: string, into = queue): void => {
  expect(into.openRow(row.length)).toBe(true);
  into.writeText(row);
  into.closeRow();
};

test('what has gathered is a slice when the pipe waits and nothing more comes for a moment', async () => {
  const next = queue.next();
  put('a\n');
  put('b\n');
  queue.delivered();
  jest.runAllTimers();
  expect((await next)!.bytes.toString()).toBe('a\nb\n');
});

test('a row that has come in part does not hold the whole ones back, and is not torn', async () => {
  const next = queue.next();
  put('a\n');
  expect(queue.openRow(4)).toBe(true);
  queue.write(Buffer.from('bc'), 0, 2);
  queue.delivered();
  jest.runAllTimers();
  const first = (await next)!;
  queue.write(Buffer.from('d\n'), 0, 2);
  queue.closeRow();
  queue.finish('proven');
  expect((await queue.next())!.bytes.toString()).toBe('bcd\n');
  expect(first.bytes.toString()).toBe('a\n');
});

test('a header is cut off, and a row that is nothing else is none', async () => {
  for (const [row, skipped] of [
    ['header', 6],
    ['headera\n', 6],
    ['b\n', 0],
  ] as const) {
    queue.openRow(row.length);
    queue.writeText(row);
    queue.closeRow(skipped);
  }
  queue.finish('proven');
  expect(await queue.next()).toMatchObject({ bytes: Buffer.from('a\nb\n'), rows: 2 });
});

test('rows that came before an error are given out before it', async () => {
  put('a\n');
  queue.finish({ error: new Error('gone') });
  expect((await queue.next())!.bytes.toString()).toBe('a\n');
  await expect(queue.next()).rejects.toThrow('gone');
});

test('the proven end is null, for ever', async () => {
  queue.finish('proven');
  queue.finish({ error: new Error('too late') });
  expect(await queue.next()).toBeNull();
  expect(await queue.next()).toBeNull();
});

describe('flow', () => {
  test('the connection rests when much waits, and goes on when half of it is gone', async () => {
    const row = `${'x'.repeat(sliceBytes / 2 - 1)}\n`;
    while (!flow.includes('pause')) put(row);
    while (!flow.includes('resume')) (await queue.next())!.release();
    expect(flow).toEqual(['pause', 'resume']);
  });

  test('when memory is spent the pipe is told once, with a slice without rows', async () => {
    const small = open(sliceBytes);
    put('x'.repeat(sliceBytes), small);
    expect(small.openRow(1)).toBe(false);
    const slice = (await small.next())!;
    expect(slice.rows).toBe(1);
    expect(small.openRow(1)).toBe(false);
    expect((await small.next())!.rows).toBe(0);
    const freed = small.onMemory();
    slice.release();
    slice.release();
    await freed;
    put('y\n', small);
    small.finish('proven');
    expect((await small.next())!.bytes.toString()).toBe('y\n');
  });
});
