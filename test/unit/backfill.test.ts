import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { countParts, mostParts, windowOfPart, type BackfillRange } from '../../src/domain/backfill.ts';

const day = 86_400_000;
const partsOf = (range: BackfillRange) =>
  Array.from({ length: countParts(range) }, (_, n) => windowOfPart(range, n + 1));

describe('the parts of a backfill', () => {
  test('of times are cut by a duration, the last one shorter, the ends as they were written', () => {
    const range = { from: '2030-01-01', to: '2030-01-03T12:00:00.123456+01:00', every: '1d' };
    expect(partsOf(range)).toEqual([
      { low: '2030-01-01', high: '2030-01-02T00:00:00.000Z' },
      { low: '2030-01-02T00:00:00.000Z', high: '2030-01-03T00:00:00.000Z' },
      { low: '2030-01-03T00:00:00.000Z', high: '2030-01-03T12:00:00.123456+01:00' },
    ]);
  });

  test('of whole numbers are cut by one, however great', () => {
    expect(partsOf({ from: '-5', to: '15', every: '10' })).toEqual([
      { low: '-5', high: '5' },
      { low: '5', high: '15' },
    ]);
    expect(windowOfPart({ from: '9007199254740993', to: '9007199254740999', every: '4' }, 1).high).toBe(
      '9007199254740997',
    );
  });

  test('without a size there is one, of whatever type', () => {
    expect(partsOf({ from: 'a', to: 'b', every: null })).toEqual([{ low: 'a', high: 'b' }]);
  });

  test('follow each other without a gap, and none is empty', () => {
    const range = fc.record({
      from: fc.integer({ min: 0, max: 4e12 }),
      days: fc.integer({ min: 1, max: 2e10 }),
      step: fc.integer({ min: 1e9, max: 1e11 }),
    });
    fc.assert(
      fc.property(range, ({ from, days, step }) => {
        const iso = (ms: number): string => new Date(ms).toISOString();
        const parts = partsOf({ from: iso(from), to: iso(from + days), every: `${step}ms` });
        expect([parts[0]!.low, parts.at(-1)!.high]).toEqual([iso(from), iso(from + days)]);
        for (const [n, part] of parts.entries()) {
          expect(part.low < part.high).toBe(true);
          expect(parts[n + 1]?.low ?? part.high).toBe(part.high);
        }
      }),
    );
  });

  test.each([
    [{ from: '2030-01-02', to: '2030-01-02', every: '1d' }, '/to'],
    [{ from: '2030-01-02', to: '2030-01-01', every: '1d' }, '/to'],
    [{ from: 'x', to: 'x', every: null }, '/to'],
    [{ from: 'soon', to: '2030-01-02', every: '1d' }, '/from'],
    [{ from: '2030-01-02', to: '2030-02-30', every: '1d' }, '/to'],
    [{ from: '2030-01-01T00:00:00', to: '2030-02-03', every: '1d' }, '/from'],
    [{ from: '1.5', to: '2', every: '1' }, '/from'],
    [{ from: '1', to: '2', every: '0' }, '/every'],
    [{ from: '2030-01-01', to: '2030-01-02', every: '0s' }, '/every'],
    [{ from: '1', to: '2', every: 'some' }, '/every'],
    [{ from: '0', to: String(mostParts + 1), every: '1' }, '/every'],
    [
      { from: new Date(0).toISOString(), to: new Date((mostParts + 1) * day).toISOString(), every: '1d' },
      '/every',
    ],
  ])('%j is refused', (range, pointer) => {
    expect(() => countParts(range)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST', pointer }));
  });
});
