import { describe, expect, jest, test } from '@jest/globals';
import * as fc from 'fast-check';
import { latestDue, nextDue } from '../../src/domain/schedule.ts';
import type { Schedule } from '../../src/domain/schedule-spec.ts';
import { findTransitions, firesByWalking, walkMinutes } from '../support/minute-walker.ts';

/** PENSTOCK_TRANSITIONS=all tries all 2,600 of 2020–2030, else each zone with one of its own; PENSTOCK_SEED repeats a choice. */
const wantsAll = process.env['PENSTOCK_TRANSITIONS'] === 'all';
if (wantsAll) jest.setTimeout(3_600_000);
const seed = Number(process.env['PENSTOCK_SEED'] ?? Date.now() % 2 ** 31);

const corpus = `
  * * * * * | */7 * * * * | 0 * * * * | 15 * * * * | 30 0-23 * * * | 59 * * * 0 | 0,45 * 1-15 * *
  0 0 * * * | 1 0 * * * | 59 23 * * * | 30 23 * * * | 0 1 * * * | 30 1 * * * | 0 2 * * * | 0 12 * * *
  15 2 * * * | 30 2 * * * | 45 2 * * * | 0 3 * * * | 30 3 * * * | */15 2 * * * | */10 0-3 * * *
  0 */2 * * * | 30 */2 * * * | 0 1-23/2 * * * | 0 0-22 * * * | 30 2 * * 0 | 0 0 1 * * | 15 2,14 8-14 * 0
  0 2 L * * | 30 1 * MAR,OCT SUN | 30 2 * * 0L | 0 3 * * 0#2 | 0 2 29 2 *`
  .trim()
  .split(/\s*[|\n]\s*/);

const hourMs = 3_600_000;
const decade = [Date.UTC(2020, 0, 1), Date.UTC(2031, 0, 1)] as const;

interface Transition {
  zone: string;
  atMs: number;
}
const zones = [...Intl.supportedValuesOf('timeZone'), 'UTC', 'Asia/Kolkata', 'CET', 'EST5EDT', 'Etc/GMT+12'];
const byZone: Transition[][] = zones
  .map((zone) => findTransitions(zone, ...decade).map((atMs) => ({ zone, atMs })))
  .filter((found) => found.length > 0);
const transitions = byZone.flat();
/** Always tried: a zone that moves by half an hour, and one that moves by two. */
const oddOnes = transitions.filter(
  ({ zone, atMs }) =>
    ['Australia/Lord_Howe', 'Antarctica/Troll'].includes(zone) && new Date(atMs).getUTCFullYear() === 2026,
);
const picks = fc.sample(fc.nat(), { seed, numRuns: byZone.length });
const chosen = wantsAll
  ? transitions
  : [...oddOnes, ...byZone.map((found, n) => found[picks[n]! % found.length]!)];

/** Asks as the dispatcher does, each time from the answer before. */
function chain(schedule: Schedule, fromMs: number, toMs: number): number[] {
  const fires: number[] = [];
  for (let ms = nextDue(schedule, fromMs - 1)!; ms < toMs; ms = nextDue(schedule, ms)!) fires.push(ms);
  return fires;
}

function chainBack(schedule: Schedule, fromMs: number, toMs: number): number[] {
  const fires: number[] = [];
  for (let ms = latestDue(schedule, toMs - 1)!; ms >= fromMs; ms = latestDue(schedule, ms - 1)!)
    fires.push(ms);
  return fires.toReversed();
}

const show = (list: readonly number[]): string[] => list.map((ms) => new Date(ms).toISOString());

describe(`fire times around ${chosen.length} of ${transitions.length} transitions (PENSTOCK_SEED=${seed})`, () => {
  test('every zone with a transition in the decade is there', () => {
    expect(new Set(chosen.map((t) => t.zone))).toEqual(new Set(transitions.map((t) => t.zone)));
    expect(byZone.length).toBeGreaterThanOrEqual(140);
  });

  test('the chain of next fires, and the chain back, are what walking every minute finds', () => {
    for (const { zone, atMs } of chosen) {
      const walked = walkMinutes(zone, atMs - 5 * hourMs, atMs + 5 * hourMs);
      const [fromMs, toMs] = [atMs - 3 * hourMs, atMs + 3 * hourMs];
      for (const cron of corpus) {
        const fires = firesByWalking(cron, walked).filter((ms) => ms >= fromMs && ms < toMs);
        const what = `${cron} ${zone} at ${new Date(atMs).toISOString()}`;
        const schedule: Schedule = { cron, timezone: zone };
        for (const found of [chain(schedule, fromMs, toMs), chainBack(schedule, fromMs, toMs)])
          if (found.join() !== fires.join()) expect([what, ...show(found)]).toEqual([what, ...show(fires)]);
      }
    }
  });

  test('the next and the latest fire are the same from wherever one asks', () => {
    const near = fc.record({
      transition: fc.constantFrom(...chosen),
      cron: fc.constantFrom(...corpus),
      awayMs: fc.oneof(fc.integer({ min: -6 * hourMs, max: 6 * hourMs }), fc.integer({ min: -2, max: 2 })),
    });
    fc.assert(
      fc.property(near, ({ transition: { zone, atMs }, cron, awayMs }) => {
        const askedMs = atMs + awayMs;
        const walked = walkMinutes(zone, atMs - 10 * hourMs, atMs + 10 * hourMs);
        const fires = firesByWalking(cron, walked).filter((ms) => Math.abs(ms - atMs) <= 8 * hourMs);
        const next = fires.find((ms) => ms > askedMs);
        const latest = fires.findLast((ms) => ms <= askedMs);
        if (next !== undefined) expect(nextDue({ cron, timezone: zone }, askedMs)).toBe(next);
        if (latest !== undefined) expect(latestDue({ cron, timezone: zone }, askedMs)).toBe(latest);
      }),
      { seed, numRuns: wantsAll ? 20_000 : 100 },
    );
  });
});
