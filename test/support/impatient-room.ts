/** A copying room on a Temporal server that thinks a history long which is short, so that runs go on in a new execution. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack } from '../../src/dev/stack.ts';
import { createCopyingRoom, type CopyingRoom } from './copying-room.ts';

/** From so many events on. */
const longHistory = 20;

export async function createImpatientRoom(): Promise<CopyingRoom> {
  const stack = await startStack({
    dataDir: await mkdtemp(join(tmpdir(), 'penstock-impatient-')),
    log: () => {},
    servers: ['temporal'],
    temporal: { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': longHistory } },
  });
  const room = await createCopyingRoom(stack.temporal.address);
  return {
    ...room,
    close: async () => {
      await room.close();
      await stack.stop({ discard: true });
    },
  };
}
