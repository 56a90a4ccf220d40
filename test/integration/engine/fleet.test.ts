/** Who works and what waits for them, asked of a real Temporal. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createFleet } from '../../../src/workers/temporal/fleet.ts';
import { packageVersion } from '../../../src/workers/package-version.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom();
});
afterAll(() => room?.close());

test('is told by queue: what waits while nobody works, and then who polls, of which class and build, and when', async () => {
  const fleet = createFleet(room.client, 'penstock', async () => ['eu']);
  const backlogOf = async (work: string): Promise<number> =>
    (await fleet.describe()).queues.find((queue) => queue.work === work)!.backlog;
  const ofTheClass = { workerClass: 'eu', polls: ['steps', 'copies'] };
  expect((await fleet.describe()).workers).toEqual([]);
  await Promise.all(
    ['one', 'two', 'three'].map((workflowId) =>
      room.client.workflow.start('forgetOld', { workflowId, taskQueue: 'penstock' }),
    ),
  );
  await waitUntil('the workflows wait for a worker', async () => (await backlogOf('workflows')) === 3);

  const before = Date.now();
  await room.startWorker('workflows');
  await room.startWorker('copy');
  await room.startWorker('all', { workerClass: 'eu' });
  await waitUntil('all poll, and nothing waits any more', async () => {
    const { workers, queues } = await fleet.describe();
    const polled = workers.flatMap(({ polls }) => polls).toSorted();
    return (
      polled.join() === 'copies,copies,steps,steps,workflows' && queues.every(({ backlog }) => backlog === 0)
    );
  });
  const { workers, queues } = await fleet.describe();
  expect(workers).toHaveLength(3);
  expect(workers.filter(({ workerClass }) => workerClass !== null)).toMatchObject([ofTheClass]);
  expect(queues.map(({ name, workerClass }) => [name, workerClass])).toEqual([
    ['penstock', null],
    ['penstock', null],
    ['penstock-copy', null],
    ['penstock-steps-eu', 'eu'],
    ['penstock-copy-eu', 'eu'],
  ]);
  for (const { identity, buildId, lastSeenAt } of workers) {
    expect(identity).toMatch(/^\d+@./);
    expect(buildId).toBe(packageVersion);
    expect(Date.parse(lastSeenAt)).toBeGreaterThan(before - 1_000);
  }
});
