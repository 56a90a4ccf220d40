import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { firstInstantShowing, latestWallShown, stretchAt } from '../../src/domain/time-zone.ts';
import { readClock } from '../support/minute-walker.ts';

const secondMs = 1_000;
const zoneArb = fc.constantFrom(...Intl.supportedValuesOf('timeZone'));
const instantArb = fc.integer({ min: 0, max: Date.UTC(2040, 0, 1) / secondMs }).map((s) => s * secondMs);

test('the wall time of any instant since 1970 is what the clock of the zone shows', () => {
  fc.assert(
    fc.property(zoneArb, instantArb, (zone, instantMs) => {
      const stretch = stretchAt(zone, instantMs);
      expect(instantMs + stretch.offsetMs).toBe(readClock(zone, instantMs));
      expect(instantMs).toBeGreaterThanOrEqual(stretch.fromMs);
      expect(instantMs).toBeLessThan(stretch.toMs);
    }),
    { numRuns: 1_000 },
  );
});

test('two transitions a week apart, the closest since 1970, are both seen', () => {
  // Boa Vista 2000: clocks went forward on 8 October and, after protests, back on the 15th
  const zone = 'America/Boa_Vista';
  const offsetHours = (day: string): number => stretchAt(zone, Date.parse(day)).offsetMs / 3_600_000;
  expect(['2000-10-07T12:00Z', '2000-10-12T12:00Z', '2000-10-16T12:00Z'].map(offsetHours)).toEqual([
    -4, -3, -4,
  ]);
  expect(stretchAt(zone, Date.parse('2000-10-12T12:00Z'))).toMatchObject({
    fromMs: Date.parse('2000-10-08T04:00Z'),
    toMs: Date.parse('2000-10-15T03:00Z'),
  });
});

test('an offset that has seconds, as Monrovia had until 1972, counts to the second', () => {
  expect(stretchAt('Africa/Monrovia', Date.UTC(1971, 0, 1)).offsetMs).toBe(-(44 * 60 + 30) * secondMs);
});

test('the first instant that shows a wall time shows it or, in a gap, the first later one', () => {
  fc.assert(
    fc.property(zoneArb, instantArb, (zone, wallMs) => {
      const instantMs = firstInstantShowing(zone, wallMs);
      expect(readClock(zone, instantMs)).toBeGreaterThanOrEqual(wallMs);
      expect(readClock(zone, instantMs - secondMs)).toBeLessThan(wallMs);
      expect(latestWallShown(zone, instantMs - 1)).toBeLessThan(wallMs);
      expect(latestWallShown(zone, instantMs)).toBeGreaterThanOrEqual(wallMs);
    }),
    { numRuns: 500 },
  );
});

test('in the second pass of an overlap the latest wall time shown stands still, whatever the clock shows', () => {
  // Berlin goes back from 03:00 to 02:00 at 01:00 UTC.
  const backMs = Date.parse('2026-10-25T01:00Z');
  const latest = [-1, 0, 30 * 60_000, 60 * 60_000 - 1, 60 * 60_000].map((ms) =>
    new Date(latestWallShown('Europe/Berlin', backMs + ms)).toISOString(),
  );
  const lastBefore = '2026-10-25T02:59:59.999Z';
  expect(latest).toEqual([lastBefore, lastBefore, lastBefore, lastBefore, '2026-10-25T03:00:00.000Z']);
});
