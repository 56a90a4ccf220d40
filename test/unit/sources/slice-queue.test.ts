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

const open = (limitBytes?: number, readsAhead?: boolean): SliceQueue => {
  const heard = { pause: () => void flow.push('pause'), resume: () => void flow.push('resume') };
  return new SliceQueue(createRowMemory(limitBytes), heard, readsAhead);
};

const put = (row: string, into = queue): void => {
  expect(into.makeRoom(row.length)).toBe(true);
  into.appendText(row);
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
  expect(queue.makeRoom(4)).toBe(true);
  queue.append(Buffer.from('bc'), 0, { bytes: 4, missing: 2 });
  queue.delivered();
  jest.runAllTimers();
  const first = (await next)!;
  queue.append(Buffer.from('d\n'), 1, null);
  queue.finish('proven');
  expect((await queue.next())!.bytes.toString()).toBe('bcd\n');
  expect(first.bytes.toString()).toBe('a\n');
});

test('a row of which nothing but its length has come keeps its room', async () => {
  const next = queue.next();
  put('a\n');
  expect(queue.makeRoom(2)).toBe(true);
  queue.append(Buffer.alloc(0), 0, { bytes: 2, missing: 2 });
  queue.delivered();
  jest.runAllTimers();
  await next;
  queue.append(Buffer.from('b\n'), 1, null);
  queue.finish('proven');
  expect((await queue.next())!.bytes.toString()).toBe('b\n');
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
    expect(small.makeRoom(1)).toBe(false);
    const slice = (await small.next())!;
    expect(slice.rows).toBe(1);
    expect(small.makeRoom(1)).toBe(false);
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

test('where nothing is read ahead, the connection rests while one slice is ready', async () => {
  const slow = open(undefined, false);
  const row = 'x'.repeat(sliceBytes);
  put(row, slow);
  expect(flow).toEqual([]);
  put(row, slow);
  expect(flow).toEqual(['pause']);
  expect((await slow.next())?.rows).toBe(1);
  expect(flow).toEqual(['pause', 'resume']);
});
