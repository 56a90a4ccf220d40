/**
 * P1–P4 in every mode: `penstock copy` is killed, frozen and cut off at random messages, and started until it is done.
 * `npm run faults -- --seeds N --mode M` takes N seeds of a mode, `--mode all` deals them to all of them.
 */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { copyAndSurvive } from './support/copy-and-survive.ts';
import { createFaultRoom, type FaultRoom } from './support/fault-room.ts';
import { dealtModes } from './support/seeds.ts';

let room: FaultRoom;
beforeAll(async () => {
  room = await createFaultRoom();
}, 60_000);
afterAll(() => room.close(), 60_000);

describe('a copy that is struck at random', () => {
  test.each(dealtModes)(
    'in mode %s ends with every row once, its counts right, and nothing left behind (seed %i)',
    async (mode, seed) => {
      await copyAndSurvive(room, mode, seed);
    },
    120_000,
  );
});
