/** Workers are replaced all the time: a run that outlives them goes on, and its history stays short. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { copyUnderDeploys } from '../../support/copy-under-deploys.ts';
import { createImpatientRoom } from '../../support/impatient-room.ts';
import type { CopyingRoom } from '../../support/copying-room.ts';

let room: CopyingRoom;
beforeAll(async () => {
  room = await createImpatientRoom();
});
afterAll(() => room?.close());

test('a run whose workers are all replaced loses nothing, and goes on in executions with short histories', async () => {
  const { executions, redone } = await copyUnderDeploys(room, {
    workers: 3,
    count: 3,
    everyMs: 0,
    parallel: 2,
    rows: 8_000,
    // The copy would take minutes: the deploys are over long before it.
    batchMs: 500,
  });
  expect(executions).toBeGreaterThan(1);
  expect(redone).toBe(0);
}, 120_000);
