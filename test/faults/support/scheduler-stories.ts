/** Stories of a scheduler: commands of fast-check, in any order. Most of what happens is work, and now and then a fault. */
import * as fc from 'fast-check';
import type { Command, Shares } from './scheduler-command.ts';
import { processLosses, serverLosses } from './scheduler-losses.ts';
import { deploy, midway, stepShares } from './scheduler-steps.ts';
import { userShares } from './scheduler-users.ts';

type Story = fc.Arbitrary<Iterable<Command>>;

const drawn = (shares: Shares): fc.Arbitrary<Command>[] =>
  shares.flatMap(([n, each]) => Array<fc.Arbitrary<Command>>(n).fill(each));

const usual: Shares = [
  ...userShares,
  ...stepShares,
  [8, midway(fc.oneof(...drawn(userShares)))],
  [2, deploy],
];

const storyOf = (shares: Shares, maxCommands: number): Story =>
  fc.commands(drawn(shares), { maxCommands, size: 'max' });

/** Nothing gets lost; only, everybody may be late. */
export const calmStory = storyOf(usual, 75);

/** Whatever may happen, as clients see it. */
export const roughStory = storyOf([...usual, ...processLosses, ...serverLosses], 75);

/** On servers to which something really happens, each of which takes seconds. */
export const storyWith = (really: Shares): Story => storyOf([...usual, ...processLosses, ...really], 40);
