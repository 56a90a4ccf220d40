import { assert, integer, pre, property } from 'fast-check';
import { describe, expect, test } from '@jest/globals';
import { callOf, epochOf } from '../../../src/copy/epoch.ts';

const time = integer({ min: 0, max: 2 ** 42 - 1 });
const call = integer({ min: 1, max: 2 ** 20 });

describe('the lease epoch', () => {
  test('of a later attempt of the same call is greater', () => {
    assert(
      property(call, time, time, (n, a, b) => {
        pre(a < b);
        expect(BigInt(epochOf(n, b)) > BigInt(epochOf(n, a))).toBe(true);
      }),
    );
  });

  test('of a later call is greater, whatever the clocks say', () => {
    assert(
      property(call, time, time, (n, a, b) => {
        expect(BigInt(epochOf(n + 1, a)) > BigInt(epochOf(n, b))).toBe(true);
      }),
    );
  });

  test('tells its call', () => {
    assert(property(call, time, (n, at) => expect(callOf(epochOf(n, at))).toBe(n)));
    expect(callOf('0')).toBe(0);
  });

  test('fits a bigint of Postgres for two million calls', () => {
    expect(BigInt(epochOf(2 ** 20, 2 ** 42 - 1)) < 2n ** 63n).toBe(true);
  });
});
