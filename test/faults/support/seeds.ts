/**
 * Random, and to be had again: each seed decides what is copied and when the fault strikes. `npm test` takes one fresh
 * seed per fault, `npm run faults -- --seeds N` takes N, PENSTOCK_FAULT_SEED=n repeats one. Titles print them. With
 * `--mode` only copies in that mode are struck (modes.test.ts), in all of them in turn with `--mode all`.
 */
import { randomInt } from 'node:crypto';
import { faultModes, type FaultMode } from './mode-cases.ts';

const count = Number(process.env['PENSTOCK_FAULT_SEEDS'] ?? '1');
const first = Number(process.env['PENSTOCK_FAULT_SEED'] ?? randomInt(1, 1_000_000));
const mode = process.env['PENSTOCK_FAULT_MODE'];
if (mode !== undefined && mode !== 'all' && !faultModes.includes(mode as FaultMode))
  throw new Error(`There is no mode "${mode}"; there are: all, ${faultModes.join(', ')}.`);

/** The seeds of one fault, in this run. */
export const faultSeeds: readonly number[] = Array.from({ length: count }, (_, i) => first + i);

/** Each with the mode that was asked for, else with one of all in turn. */
export const dealtModes: readonly (readonly [FaultMode, number])[] = faultSeeds.map((seed) => [
  faultModes.find((known) => known === mode) ?? faultModes[seed % faultModes.length]!,
  seed,
]);

/** Prints a line about a seed, where modes are what was asked for. */
export function tell(line: string): void {
  if (mode !== undefined) process.stdout.write(`${line}\n`);
}

/** Numbers that a seed gives, one after the other. */
export interface Dice {
  /** A whole number from `low` to `high`, both included. */
  readonly between: (low: number, high: number) => number;
  readonly oneOf: <T>(values: readonly T[]) => T;
}

/** The mulberry32 generator. */
export function rollDice(seed: number): Dice {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const between = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
  return { between, oneOf: (values) => values[between(0, values.length - 1)]! };
}
