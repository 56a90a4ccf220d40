/** Runs that outlive many deploys, by workers as built. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { CopyingRoom } from '../../support/copying-room.ts';
import { copyUnderDeploys } from '../../support/copy-under-deploys.ts';
import { createImpatientRoom } from '../../support/impatient-room.ts';

let room: CopyingRoom;
beforeEach(async () => {
  room = await createImpatientRoom();
});
afterEach(() => room?.close());

/** Two partitions, on three workers. */
const shape = { workers: 3, parallel: 2, batchMs: 500 };

test('a rolling restart, one worker every 5 s for 5 minutes, redoes no more than the batches in hand', async () => {
  const { executions } = await copyUnderDeploys(room, { ...shape, count: 60, everyMs: 5_000, rows: 60_000 });
  expect(executions).toBeGreaterThan(10);
}, 600_000);

test('three days with a deploy every 20 minutes, of which only the deploys are left, end exact', async () => {
  const { executions } = await copyUnderDeploys(room, { ...shape, count: 200, everyMs: 0, rows: 120_000 });
  expect(executions).toBeGreaterThan(30);
}, 1_800_000);
