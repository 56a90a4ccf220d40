/** P7–P9 on servers that really crash, restart, and lose what they wrote last: stories as in ../scheduler.test.ts. */
import { afterAll, beforeAll, test } from '@jest/globals';
import { createOwnServers, realLosses, type OwnServers } from '../support/scheduler-servers.ts';
import { storyWith } from '../support/scheduler-stories.ts';
import { shrinkMs, tellStory } from '../support/scheduler-story.ts';
import { createWorld } from '../support/scheduler-world.ts';
import { tenthOfSeeds } from '../support/seeds.ts';

let servers: OwnServers;
beforeAll(async () => {
  servers = await createOwnServers();
}, 60_000);
afterAll(() => servers.close(), 60_000);

test.each(tenthOfSeeds)(
  'whatever becomes of Postgres and Redis, no due time is lost, started twice or early, and no place leaks (seed %i)',
  (seed) => tellStory(storyWith(realLosses(servers)), { seed, create: () => createWorld(servers.ground) }),
  3 * shrinkMs,
);
