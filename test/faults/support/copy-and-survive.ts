/** One seed of one mode: tables are filled, a copy is struck until it is done, and everything is counted afterwards. */
import { expect } from '@jest/globals';
import { addsUp, type Receipt } from '../../../src/domain/run-states.ts';
import { compareRows } from '../../../src/dev/demo/compare-rows.ts';
import { execute } from '../../support/execute.ts';
import { copyUnderStrikes } from './copy-under-strikes.ts';
import type { FaultRoom } from './fault-room.ts';
import { rollCase, type Count, type FaultMode, type ModeCase } from './mode-cases.ts';
import { rollDice } from '../../support/dice.ts';
import { tell } from './seeds.ts';
import { expectWholeDestination, untilNoSessions } from './whole-destination.ts';
import { expectNothingSeen, placeWitness } from './witness.ts';

/** Fails with what is not as it must be; prints the story where `--mode` asks for it. */
export async function copyAndSurvive(room: FaultRoom, mode: FaultMode, seed: number): Promise<void> {
  const dice = rollDice(seed);
  const { says, batches, ...one } = rollCase(mode, dice);
  await room.renew();
  await placeWitness(room.destinationUrl);
  await execute(room.sourceUrl, one.plant.source);
  await execute(room.destinationUrl, one.plant.destination);
  const sinceMs = performance.now();
  const story = [`${mode}, ${says}`];
  let isWhole = false;
  try {
    const receipt = await copyUnderStrikes(room, {
      dice,
      flags: one.flags,
      batches,
      tell: (what) => story.push(what),
    });
    await Promise.all([untilNoSessions(room.destinationUrl, room), untilNoSessions(room.sourceUrl, room)]);
    await expectNothingSeen(room.destinationUrl);
    await expectRows(room, one);
    await expectCounts(room, one, receipt);
    await expectWholeDestination(room.destinationUrl);
    isWhole = true;
  } finally {
    tell(
      `${isWhole ? '' : 'FAILED '}seed ${seed}: ${story.join('; ')}; ${Math.round((performance.now() - sinceMs) / 100) / 10} s`,
    );
  }
}

async function expectRows(room: FaultRoom, { equal, none }: ModeCase): Promise<void> {
  const found = await compareRows({
    source: { url: room.sourceUrl, query: equal.source },
    destination: { url: room.destinationUrl, query: equal.destination },
    key: ['id'],
  });
  expect(found).toMatchObject({ missing: 0, extra: 0, different: 0, duplicated: 0 });
  for (const query of none) expect([query, await execute(room.destinationUrl, query)]).toEqual([query, []]);
}

/** The receipts of all loads are the sum that the rows give, and the copy's own is of the last of them. */
async function expectCounts(room: FaultRoom, { counts }: ModeCase, own: Receipt): Promise<void> {
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
