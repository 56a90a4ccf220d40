/**
 * P7–P9 whatever happens to the scheduler: users, time, slow and dying dispatchers, lost servers, in a random order on real
 * Postgres and Redis, and then an oracle. `npm run faults -- --scheduler --seeds N` takes N seeds; one that fails is made
 * as short as it can be, and printed.
 */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import * as fc from 'fast-check';
import { createSync, firstSyncs, schedulerCommands } from './support/scheduler-commands.ts';
import { comeToRest, expectRest } from './support/scheduler-oracle.ts';
import { createSchedulerGround, type SchedulerGround } from './support/scheduler-world.ts';
import { quickFaultSeeds } from './support/seeds.ts';

let ground: SchedulerGround;
beforeAll(async () => {
  ground = await createSchedulerGround();
}, 60_000);
afterAll(() => ground.close(), 60_000);

/** How long a story that fails is made shorter. */
const shrinkMs = 100_000;

describe('a scheduler to which anything may happen', () => {
  test.each(quickFaultSeeds)(
    'loses no due time, starts none twice or early, and leaks no place (seed %i)',
    async (seed) => {
      const story = fc.asyncProperty(firstSyncs, schedulerCommands, async (first, commands) => {
        const world = await ground.create();
        for (const sync of first) await createSync(world, sync);
        await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
        await comeToRest(world);
        await expectRest(world);
      });
      await fc.assert(story, { seed, numRuns: 1, unbiased: true, interruptAfterTimeLimit: shrinkMs });
    },
    2 * shrinkMs,
  );
});
