/**
 * P1–P4 in every mode: `penstock copy` is killed, frozen and cut off at random messages, and started until it is done.
 * `npm run faults -- --seeds N --mode M` takes N seeds of a mode, `--mode all` deals them to all of them.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addsUp, type Receipt } from '../../src/domain/run-states.ts';
import { compareRows } from '../../src/dev/demo/compare-rows.ts';
import { execute } from '../support/execute.ts';
import { createFaultRoom, type FaultRoom } from './support/fault-room.ts';
import { rollCase, type Count, type ModeCase } from './support/mode-cases.ts';
import { copyUnderStrikes } from './support/copy-under-strikes.ts';
import { dealtModes, rollDice, tell } from './support/seeds.ts';
import { expectWholeDestination, untilNoSessions } from './support/whole-destination.ts';

let room: FaultRoom;
beforeAll(async () => {
  room = await createFaultRoom();
}, 60_000);
afterAll(() => room.close(), 60_000);

describe('a copy that is struck at random', () => {
  test.each(dealtModes)(
    'in mode %s ends with every row once, its counts right, and nothing left behind (seed %i)',
    async (mode, seed) => {
      const dice = rollDice(seed);
      const { says, batches, ...one } = rollCase(mode, dice);
      await room.renew();
      await execute(room.sourceUrl, one.plant.source);
      await execute(room.destinationUrl, one.plant.destination);
      const sinceMs = performance.now();
      const story = [`${mode}, ${says}`];
      try {
        const receipt = await copyUnderStrikes(room, {
          dice,
          flags: one.flags,
          batches,
          tell: (what) => story.push(what),
        });
        await Promise.all([untilNoSessions(room.destinationUrl), untilNoSessions(room.sourceUrl)]);
        await expectRows(one);
        await expectCounts(one, receipt);
        await expectWholeDestination(room.destinationUrl);
      } finally {
        tell(`seed ${seed}: ${story.join('; ')}; ${Math.round((performance.now() - sinceMs) / 100) / 10} s`);
      }
    },
    120_000,
  );
});

async function expectRows({ equal, none }: ModeCase): Promise<void> {
  const found = await compareRows({
    source: { url: room.sourceUrl, query: equal.source },
    destination: { url: room.destinationUrl, query: equal.destination },
    key: ['id'],
  });
  expect(found).toMatchObject({ missing: 0, extra: 0, different: 0, duplicated: 0 });
  for (const query of none) expect([query, await execute(room.destinationUrl, query)]).toEqual([query, []]);
}

/** The receipts of all loads are the sum that the rows give, and the copy's own is of the last of them. */
async function expectCounts({ counts }: ModeCase, own: Receipt): Promise<void> {
  const loads = await execute<{ receipt: Receipt }>(
    room.destinationUrl,
    'select receipt from _penstock.load order by closed_at',
  );
  const wanted = counts(loads.length);
  const sums = Object.fromEntries(
    (Object.keys(wanted) as Count[]).map((name) => [
      name,
      loads.reduce((sum, { receipt }) => sum + receipt[name], 0),
    ]),
  );
  expect(sums).toEqual(wanted);
  for (const receipt of [own, ...loads.map((load) => load.receipt)]) expect(addsUp(receipt)).toBe(true);
}
