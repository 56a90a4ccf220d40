/** Something that happens to a scheduler in a story of fast-check, and what must be true right after it. */
import * as fc from 'fast-check';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import { expectOnTheWay } from './scheduler-watch.ts';
import type { KnownSync, SchedulerWorld } from './scheduler-world.ts';

export type Act = (world: SchedulerWorld) => Promise<unknown>;
export type Command = fc.AsyncCommand<object, SchedulerWorld>;

/** Commands, and how often each is drawn. */
export type Shares = readonly (readonly [number, fc.Arbitrary<Command>])[];

export const command = (name: string, act: Act): Command => ({
  check: () => true,
  toString: () => name,
  async run(_, world) {
    await act(world);
    await expectOnTheWay(world);
  },
});

/** Of those that are there. */
export const which = fc.nat(7);

const pick = <T>(from: readonly T[], n: number): T | undefined => from[n % from.length];

export const syncsThere = ({ syncs }: SchedulerWorld): KnownSync[] => syncs.filter((sync) => !sync.isDeleted);

/** Nothing happens while there is no sync. */
export const withSync =
  (n: number, act: (sync: KnownSync, world: SchedulerWorld) => Promise<unknown>): Act =>
  async (world) => {
    const sync = pick(syncsThere(world), n);
    if (sync) await act(sync, world);
  };

/** Nothing happens while no workflow is open. */
export const withOpen =
  (n: number, act: (run: RunToStart, world: SchedulerWorld) => Promise<unknown>): Act =>
  async (world) => {
    const run = pick(world.open(), n);
    if (run) await act(run, world);
  };
