/** P1–P4 behind pgbouncer in transaction mode, before both ends: no statement may count on the session of the one before. */
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { copyAndSurvive } from '../support/copy-and-survive.ts';
import { createFaultRoom, type FaultRoom } from '../support/fault-room.ts';
import { faultModes } from '../support/mode-cases.ts';
import { faultSeeds } from '../support/seeds.ts';

let room: FaultRoom;
beforeAll(async () => {
  room = await createFaultRoom({ pooled: true });
}, 60_000);
afterAll(() => room.close(), 60_000);

describe('a copy by a pooler', () => {
  test.each(faultModes.flatMap((mode) => faultSeeds.map((seed) => [mode, seed] as const)))(
    'in mode %s, struck at random, ends with every row once, its counts right, and nothing left behind (seed %i)',
    (mode, seed) => copyAndSurvive(room, mode, seed),
    120_000,
  );
});
