/**
 * Random, and to be had again: each seed decides what is copied and when the fault strikes. `npm test` takes one fresh
 * seed per fault, `npm run faults -- --seeds N` takes N, PENSTOCK_FAULT_SEED=n repeats one. Titles print them. With
 * `--mode` only copies in that mode are struck (modes.test.ts), in all of them in turn with `--mode all`.
 */
import { randomInt } from 'node:crypto';
import { faultModes, type FaultMode } from './mode-cases.ts';

const count = Number(process.env['PENSTOCK_FAULT_SEEDS'] ?? '1');
const first = Number(process.env['PENSTOCK_FAULT_SEED'] ?? randomInt(1, 1_000_000));
/** Whether it is `npm run faults`, in which what would hold up `npm test` is done in full. */
export const isThorough = process.env['PENSTOCK_FAULT_SEEDS'] !== undefined;
const mode = process.env['PENSTOCK_FAULT_MODE'];
if (mode !== undefined && mode !== 'all' && !faultModes.includes(mode as FaultMode))
  throw new Error(`There is no mode "${mode}"; there are: all, ${faultModes.join(', ')}.`);

/** The seeds of one fault, in this run. */
export const faultSeeds: readonly number[] = Array.from({ length: count }, (_, i) => first + i);

/** Of faults that take a second or two each. */
export const quickFaultSeeds: readonly number[] = Array.from(
  { length: Math.max(count, 2) },
  (_, i) => first + i,
);

/** Of faults that take many times as long as those which are meant by N. */
export const tenthOfSeeds: readonly number[] = faultSeeds.slice(0, Math.ceil(count / 10));

/** Each with the mode that was asked for, else with one of all in turn. */
export const dealtModes: readonly (readonly [FaultMode, number])[] = faultSeeds.map((seed) => [
  faultModes.find((known) => known === mode) ?? faultModes[seed % faultModes.length]!,
  seed,
]);

/** Prints a line about a seed, where modes are what was asked for. */
export function tell(line: string): void {
  if (mode !== undefined) process.stdout.write(`${line}\n`);
}
