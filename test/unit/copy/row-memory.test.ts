/** The byte budget: never more out than the limit, buffers used again, whoever waits is told. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createRowMemory, sliceBytes } from '../../../src/copy/row-memory.ts';

test('whatever is taken and given back, no more than the limit is out, and it all comes back', () => {
  const limit = 16 * sliceBytes;
  const step = fc.oneof(fc.integer({ min: 1, max: 6 * sliceBytes }), fc.constant('give' as const));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = createRowMemory(limit);
      const out: Buffer[] = [];
      const bytesOut = () => out.reduce((sum, buffer) => sum + buffer.length, 0);
      for (const each of steps) {
        if (each === 'give') {
          const buffer = out.shift();
          if (buffer) memory.give(buffer);
          continue;
        }
        const buffer = memory.take(each);
        if (buffer) out.push(buffer);
        else expect(bytesOut() + each).toBeGreaterThan(limit - 6 * sliceBytes);
        expect(buffer?.length ?? each).toBeGreaterThanOrEqual(each);
        expect(bytesOut()).toBeLessThanOrEqual(limit + 6 * sliceBytes);
      }
      for (const buffer of out) memory.give(buffer);
      expect(memory.take(limit)).not.toBeNull();
    }),
  );
});

test('a buffer that was given back is used again', () => {
  const memory = createRowMemory();
  const buffer = memory.take(100)!;
  memory.give(buffer);
  expect(memory.take(sliceBytes)).toBe(buffer);
});

test('one larger than the whole budget comes alone', () => {
  const memory = createRowMemory(4 * sliceBytes);
  const small = memory.take(1)!;
  expect(memory.take(5 * sliceBytes)).toBeNull();
  memory.give(small);
  expect(memory.take(5 * sliceBytes)?.length).toBe(5 * sliceBytes);
  expect(memory.take(1)).toBeNull();
});

test('whoever waits is told when something comes back', async () => {
  const memory = createRowMemory(sliceBytes);
  const buffer = memory.take(1)!;
  const told = Promise.all([memory.freed(), memory.freed()]);
  memory.give(buffer);
  await told;
});
