/**
 * P7–P9 whatever happens to the scheduler: users, time, slow and dying dispatchers, lost servers, in a random order on real
 * Postgres and Redis, and then an oracle. `npm run faults -- --scheduler --seeds N` takes N seeds; one that fails is made
 * as short as it can be, and printed.
 */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { createSchedulerGround, type SchedulerGround } from './support/scheduler-ground.ts';
import { calmStory, roughStory } from './support/scheduler-stories.ts';
import { shrinkMs, tellStory } from './support/scheduler-story.ts';
import { createWorld } from './support/scheduler-world.ts';
import { quickFaultSeeds } from './support/seeds.ts';

let ground: SchedulerGround;
beforeAll(async () => {
  ground = await createSchedulerGround();
}, 60_000);
afterAll(() => ground.close(), 60_000);

describe('a scheduler to which anything may happen', () => {
  test.each(quickFaultSeeds)(
    'loses no due time, starts none twice or early, and leaks no place (seed %i)',
    (seed) => tellStory(roughStory, { seed, create: () => createWorld(ground) }),
    2 * shrinkMs,
  );
});

describe('a scheduler of which nothing gets lost', () => {
  test.each(quickFaultSeeds)(
    'keeps to every cap, and looks at nothing too late, however late its dispatchers are (seed %i)',
    (seed) => tellStory(calmStory, { seed, create: () => createWorld(ground, { isCalm: true }) }),
    2 * shrinkMs,
  );
});
