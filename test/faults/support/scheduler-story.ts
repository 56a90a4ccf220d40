/** Tells a story of a scheduler until it is at rest, and asks the oracle; one that fails is made shorter, and printed. */
import { expect } from '@jest/globals';
import * as fc from 'fast-check';
import type { Command } from './scheduler-command.ts';
import { comeToRest, expectRest } from './scheduler-oracle.ts';
import { createSync, firstSyncs } from './scheduler-users.ts';
import type { SchedulerWorld } from './scheduler-world.ts';

/** How long a story that fails is made shorter. */
export const shrinkMs = 100_000;

/** @param how the world is made anew for each attempt to make the story shorter */
export async function tellStory(
  story: fc.Arbitrary<Iterable<Command>>,
  { seed, create }: { seed: number; create: () => Promise<SchedulerWorld> },
): Promise<void> {
  // Two parts: a story may be short, but seldom both of its parts.
  const told = fc.asyncProperty(firstSyncs, story, story, async (first, ...parts) => {
    const world = await create();
    for (const sync of first) await createSync(world, sync);
    // As a dispatcher does when it starts: before that nothing is admitted.
    await world.dispatchers[0].does('refill');
    // Under another name than is known here they could not get lost, and no story would notice.
    expect(await world.redis.keys(world.key('*'))).not.toEqual([]);
    for (const commands of parts) await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
    await comeToRest(world);
    await expectRest(world);
  });
  // A story that has not come to its end by then is none that went well.
  const limit = { interruptAfterTimeLimit: shrinkMs, markInterruptAsFailure: true };
  await fc.assert(told, { seed, numRuns: 1, unbiased: true, ...limit });
}
