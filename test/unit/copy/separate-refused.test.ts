/** What is refused of a batch is found in few tries, whatever the destination says of it. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { separateRefused, type Refused } from '../../../src/copy/separate-refused.ts';

/** How the destination names what it stumbled over. */
type Naming = 'truly' | 'never' | 'wrongly';

interface Found {
  taken: number[];
  rejected: number[];
  tries: number;
}

async function separate(units: number, bad: ReadonlySet<number>, naming: Naming): Promise<Found> {
  const found: Found = { taken: [], rejected: [], tries: 0 };
  const refusedOf = (from: number, to: number): Refused | null => {
    const first = Array.from({ length: to - from }, (_, i) => from + i).find((unit) => bad.has(unit));
    if (first === undefined) return null;
    if (naming === 'never') return { unit: null };
    return { unit: naming === 'truly' ? first : from };
  };
  await separateRefused({
    units,
    refused: refusedOf(0, units)!,
    attempt: async (from, to) => {
      found.tries++;
      const refused = refusedOf(from, to);
      if (!refused) for (let unit = from; unit < to; unit++) found.taken.push(unit);
      return refused;
    },
    reject: async (unit) => void found.rejected.push(unit),
  });
  return found;
}

const batch = fc.integer({ min: 1, max: 300 }).chain((units) =>
  fc.record({
    units: fc.constant(units),
    bad: fc.uniqueArray(fc.nat({ max: units - 1 }), { minLength: 1, maxLength: 12 }),
    naming: fc.constantFrom<Naming>('truly', 'never', 'wrongly'),
  }),
);

test('every unit is taken once or rejected once, in order, and only the bad ones are rejected', async () => {
  await fc.assert(
    fc.asyncProperty(batch, async ({ units, bad, naming }) => {
      const { taken, rejected } = await separate(units, new Set(bad), naming);
      expect(rejected).toEqual([...bad].sort((a, b) => a - b));
      const others = Array.from({ length: units }, (_, unit) => unit).filter((unit) => !bad.includes(unit));
      expect(taken).toEqual(others);
    }),
  );
});

test('k bad units of n cost at most 2 k (log2 n + 1) + 2 tries, also when the destination names the wrong ones', async () => {
  await fc.assert(
    fc.asyncProperty(batch, async ({ units, bad, naming }) => {
      const { tries } = await separate(units, new Set(bad), naming);
      // A wrong name is right by chance where the first unit of a range is a bad one.
      expect(tries).toBeLessThanOrEqual(2 * bad.length * (Math.ceil(Math.log2(units)) + 1) + 2);
    }),
  );
});

test('where the destination names the bad ones it costs three tries each', async () => {
  await fc.assert(
    fc.asyncProperty(batch, async ({ units, bad }) => {
      expect((await separate(units, new Set(bad), 'truly')).tries).toBeLessThanOrEqual(3 * bad.length);
    }),
  );
});

test('one bad row of 50,000: 33 tries at most', async () => {
  expect((await separate(50_000, new Set([31_415]), 'never')).tries).toBeLessThanOrEqual(33);
});

test('what reject throws ends the search: nothing is tried after it', async () => {
  let tries = 0;
  const search = separateRefused({
    units: 8,
    refused: { unit: 2 },
    attempt: async (from) => {
      tries++;
      return from === 2 ? { unit: 2 } : null;
    },
    reject: async () => {
      throw new Error('too many');
    },
  });
  await expect(search).rejects.toThrow('too many');
  expect(tries).toBe(2);
});
