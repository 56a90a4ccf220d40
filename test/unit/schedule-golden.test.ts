import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { nextDue } from '../../src/domain/schedule.ts';

/**
 * Next fires that must never change by themselves: a new cron-parser or Node that gives others is refused here. After
 * a wanted change `PENSTOCK_WRITE_GOLDEN=1` writes the table anew, and its diff is the thing to review. Fires from
 * 2026 on are left out except in UTC: governments may still change them.
 */
const file = new URL('schedule-golden.json', import.meta.url);

const crons = `
  * * * * * | 0 * * * * | 15 * * * * | 0 0 * * * | 15 2 * * * | 30 2 * * * | */15 2 * * * | 0 */2 * * *
  0 9-17 * * 1-5 | 0 0 1 * * | 0 0 L * * | 0 0 29 2 * | 0 0 13 * 5 | 0 0 * * 7 | 30 1 * 3,10 SUN | 0 0 * * 5L
  0 9 * * 2#2 | 30 4 L 2 * | 0 12 1-7 * MON | 0 0 29-31 * * | 45 1-3 * * 0L | 0 0 * * MON#1 | 0 0 1 1 * | 59 23 31 12 * | @weekly`
  .trim()
  .split(/\s*[|\n]\s*/);

/** Zones, each with the evenings before two of its transitions. */
const moments: readonly (readonly [string, string, string])[] = [
  ['UTC', '2024-02-28T20:00:00Z', '2025-12-31T20:00:00Z'],
  ['Europe/Berlin', '2025-03-29T20:00:00Z', '2025-10-25T20:00:00Z'],
  ['America/New_York', '2025-03-09T00:00:00Z', '2025-11-02T00:00:00Z'],
  ['Australia/Lord_Howe', '2025-04-05T08:00:00Z', '2025-10-04T08:00:00Z'],
  ['Antarctica/Troll', '2025-03-29T20:00:00Z', '2025-10-25T20:00:00Z'],
  ['America/Santiago', '2025-04-05T20:00:00Z', '2025-09-06T20:00:00Z'],
  ['Africa/Casablanca', '2025-02-22T20:00:00Z', '2025-04-05T20:00:00Z'],
  ['Asia/Kathmandu', '2024-12-31T12:00:00Z', '2025-06-30T12:00:00Z'],
  ['Pacific/Chatham', '2025-04-05T06:00:00Z', '2025-09-27T06:00:00Z'],
  ['Pacific/Apia', '2011-12-29T00:00:00Z', '2021-04-03T06:00:00Z'],
];

function nextFires(cron: string, timezone: string, from: string): string {
  const fires: string[] = [];
  for (let ms = Date.parse(from); fires.length < 4;) {
    ms = nextDue({ cron, timezone }, ms)!;
    if (timezone !== 'UTC' && ms >= Date.UTC(2026, 0, 1)) break;
    fires.push(new Date(ms).toISOString().replace(':00.000Z', 'Z'));
  }
  return fires.join(' ');
}

test('the next fires are those of the golden table', () => {
  const table: Record<string, string> = {};
  for (const [zone, ...froms] of moments)
    for (const from of froms)
      for (const cron of crons) table[`${cron} | ${zone} | ${from}`] = nextFires(cron, zone, from);
  if (process.env['PENSTOCK_WRITE_GOLDEN']) writeFileSync(file, `${JSON.stringify(table, null, 2)}\n`);
  expect(table).toEqual(JSON.parse(readFileSync(file, 'utf8')));
});
