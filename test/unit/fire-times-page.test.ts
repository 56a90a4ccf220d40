/** docs/fire-times.md against the code: each of its rows is asked, and must be answered as it stands there. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { parseSchedule } from '../../src/domain/check-schedule.ts';
import type { PenstockError } from '../../src/domain/errors.ts';
import { nextTimes } from '../../src/domain/schedule.ts';
import { showClock } from '../../src/domain/time-zone.ts';

const page = readFileSync(new URL('../../docs/fire-times.md', import.meta.url), 'utf8');

/** The cells of the table under a heading. */
function rowsUnder(heading: string): string[][] {
  const section = page.split(/^## /m).find((part) => part.startsWith(`${heading}\n`))!;
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) =>
    row
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );
}
const jsonIn = (cell: string): unknown => JSON.parse(cell.replaceAll('`', ''));

const examples = rowsUnder('Worked examples');
test.each(examples)('%s after %s: %s', (json = '', after = '', times = '') => {
  const schedule = parseSchedule(jsonIn(json));
  const zone = ('timezone' in schedule ? schedule.timezone : undefined) ?? 'UTC';
  const found = nextTimes(schedule, Date.parse(after), times.split(', ').length);
  expect(found.map((ms) => showClock(zone, ms)).join(', ')).toBe(times);
});

const refused = rowsUnder('What is refused');
test.each(refused)('%s is refused: %s', (json = '', code, pointer, message) => {
  try {
    parseSchedule(jsonIn(json));
  } catch (error) {
    const { code: found, pointer: at, message: said } = error as PenstockError;
    expect([`\`${found}\``, `\`${at}\``, said]).toEqual([code, pointer, message]);
    return;
  }
  throw new Error('accepted');
});

test('the page has its tables', () => {
  expect(examples.length).toBeGreaterThan(15);
  expect(refused.length).toBeGreaterThan(12);
});
