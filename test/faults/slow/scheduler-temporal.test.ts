/** P7–P9 on a real Temporal server, where somebody terminates workflows: stories as in ../scheduler.test.ts. */
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, test } from '@jest/globals';
import { connectClient } from '../../../src/workers/temporal/connect-client.ts';
import { createRunStarter } from '../../../src/workers/temporal/run-starter.ts';
import { createNamespace } from '../../support/stack.ts';
import { watchEngine } from '../support/scheduler-engine.ts';
import { createSchedulerGround, type SchedulerGround } from '../support/scheduler-ground.ts';
import { terminate } from '../support/scheduler-losses.ts';
import { storyWith } from '../support/scheduler-stories.ts';
import { shrinkMs, tellStory } from '../support/scheduler-story.ts';
import { createWorld } from '../support/scheduler-world.ts';
import { tenthOfSeeds } from '../support/seeds.ts';

let ground: SchedulerGround;
let client: Client;
beforeAll(async () => {
  ground = await createSchedulerGround();
  client = connectClient(await createNamespace());
}, 60_000);
afterAll(async () => {
  await ground.close();
  await client.connection.close();
}, 60_000);

const createEngine = () =>
  watchEngine(
    createRunStarter({ client, taskQueue: 'penstock' }),
    async (workflowId) => void (await client.workflow.getHandle(workflowId).terminate()),
  );

test.each(tenthOfSeeds)(
  'workflows terminated behind our back: each run is final, its place is free, and the next one starts (seed %i)',
  (seed) =>
    tellStory(storyWith([[4, terminate]]), {
      seed,
      create: () => createWorld(ground, { starter: createEngine() }),
    }),
  3 * shrinkMs,
);
