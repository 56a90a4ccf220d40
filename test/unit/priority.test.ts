import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { defaultSlackMs, readyScore, slackMsOf } from '../../src/domain/priority.ts';

const readyArb = fc.record({
  dueMs: fc.integer({ min: 0, max: 2 ** 43 }),
  queuedAtMs: fc.integer({ min: 0, max: 2 ** 43 }),
  priority: fc.integer({ min: 1, max: 5 }),
});

test('the default slack is 0, 1, 5, 30 and 120 minutes', () => {
  expect(defaultSlackMs.map((ms) => ms / 60_000)).toEqual([0, 1, 5, 30, 120]);
});

test('a run counts from when it is both due and queued', () => {
  expect(readyScore({ dueMs: 1_000, queuedAtMs: 500, priority: 1 })).toBe(1_000);
  expect(readyScore({ dueMs: 1_000, queuedAtMs: 1_500, priority: 1 })).toBe(1_500);
  expect(readyScore({ dueMs: 1_000, queuedAtMs: 500, priority: 2 })).toBe(61_000);
});

test('other slack than the default may be given', () => {
  const slackMs = [0, 1, 2, 3, 4];
  expect(readyScore({ dueMs: 10, queuedAtMs: 0, priority: 5 }, slackMs)).toBe(14);
});

test('a run is never overtaken by one that became ready more than the difference of slack later', () => {
  fc.assert(
    fc.property(readyArb, readyArb, (waiting, later) => {
      const ready = (run: typeof waiting): number => Math.max(run.dueMs, run.queuedAtMs);
      const bound = defaultSlackMs[waiting.priority - 1]! - defaultSlackMs[later.priority - 1]!;
      fc.pre(ready(later) > ready(waiting) + bound);
      expect(readyScore(waiting)).toBeLessThan(readyScore(later));
    }),
  );
});

test('in strict order no run starts before one of a higher priority, however long it has waited, and scores stay exact', () => {
  fc.assert(
    fc.property(readyArb, readyArb, (first, second) => {
      const score = (run: typeof first): number => readyScore(run, slackMsOf.strict);
      fc.pre(first.priority !== second.priority);
      expect(score(first) < score(second)).toBe(first.priority < second.priority);
      expect(Number.isSafeInteger(score(first))).toBe(true);
    }),
  );
});
