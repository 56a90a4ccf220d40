import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { commandTable } from '../../../src/cli/command-table.ts';
import { runCli } from '../../../src/cli/run-cli.ts';

let printed: string;
let complained: string;
beforeEach(() => {
  [printed, complained] = ['', ''];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((printed += String(text))));
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((complained += String(text))));
});
afterEach(() => {
  jest.restoreAllMocks();
});

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-next-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
const fileOf = (content: unknown): string => {
  const file = join(folder, 'spec.json');
  writeFileSync(file, JSON.stringify(content));
  return file;
};

const next = (...argv: string[]): Promise<number> => runCli(['next', ...argv], commandTable, '1');

test('an expression’s next times are printed for people by both clocks', async () => {
  const from = ['--from', '2026-03-27T12:00:00+01:00', '--count', '3'];
  expect(await next('--cron', '30 2 * * *', '--timezone', 'Europe/Berlin', ...from)).toBe(0);
  expect(
    printed
      .trim()
      .split('\n')
      .map((line) => line.split(/ +/)),
  ).toEqual([
    ['utc', 'Europe/Berlin'],
    ['2026-03-28T01:30:00Z', '2026-03-28T02:30:00+01:00'],
    ['2026-03-29T01:00:00Z', '2026-03-29T03:00:00+02:00'],
    ['2026-03-30T00:30:00Z', '2026-03-30T02:30:00+02:00'],
  ]);
});

test('programs get one line', async () => {
  expect(await next('--every', '90m', '--from', '2026-01-01T00:00:00Z', '--count', '2', '--json')).toBe(0);
  expect(printed).toBe('{"items":["2026-01-01T01:30:00.000Z","2026-01-01T03:00:00.000Z"],"after":null}\n');
  printed = '';
  await next(
    '--cron',
    '*/20 * * * * *',
    '--seconds',
    '--from',
    '2026-01-01T00:00:00Z',
    '--count',
    '1',
    '--json',
  );
  expect(printed).toBe('{"items":["2026-01-01T00:00:20.000Z"],"after":null}\n');
});

test('a file holds a sync spec or a schedule', async () => {
  const schedule = { anyOf: [{ at: '2030-01-31T06:00:00Z' }, { at: '2030-01-30T06:00:00Z' }] };
  for (const content of [schedule, { name: 'subscribers', schedule }]) {
    printed = '';
    expect(await next('--spec', fileOf(content), '--from', '2029-01-01T00:00:00Z', '--json')).toBe(0);
    expect(printed).toBe('{"items":["2030-01-30T06:00:00.000Z","2030-01-31T06:00:00.000Z"],"after":null}\n');
  }
  await next('--spec', fileOf(schedule), '--from', '2031-01-01T00:00:00Z');
  expect(printed).toContain('no time is left');
});

test('a sync that comes after another has no times to show, and it is said after which', async () => {
  const spec = fileOf({ after: { sync: 'orders', when: 'finished' } });
  await next('--spec', spec);
  expect(printed).toBe('after sync orders, when a run of it has finished\n');
  printed = '';
  await next('--spec', spec, '--json');
  expect(printed).toBe('{"items":[],"after":{"sync":"orders","when":"finished"}}\n');
});

test.each([
  [[], 'one of --cron, --every and --spec'],
  [['--cron', '@daily', '--every', '5m'], 'one of --cron, --every and --spec'],
  [['--every', '5m', '--timezone', 'UTC'], 'go with --cron'],
  [['--every', '5m', '--from', 'tomorrow'], 'such as 2030-01-31T06:00:00Z'],
  [['--every', '5m', '--from', '2030-01-31T06:00:00'], 'with its offset'],
  [['--every', '5m', '--count', '0'], 'from 1 to 1000'],
  [['--spec', '/nowhere'], '--spec: /nowhere is no JSON'],
])('%j is refused as a wrong option', async (argv, advice) => {
  expect(await next(...argv)).toBe(78);
  expect(complained).toContain(advice);
});

test.each([
  [['--cron', '0 */5 * * * *'], 'SCHEDULE_INVALID', '{cron: "0 */5 * * * *", seconds: true}'],
  [['--cron', '* * * * *', '--seconds'], 'SCHEDULE_INVALID', 'second minute hour'],
  [['--cron', '0 0 30 2 *'], 'SCHEDULE_NEVER_FIRES', 'write a day up to 29'],
  [['--cron', '@reboot'], 'SCHEDULE_INVALID', 'write {manual: true}'],
  [['--cron', 'H * * * *'], 'SCHEDULE_INVALID', 'write a number'],
  [['--cron', '30-10 * * * *'], 'SCHEDULE_INVALID', '"30-59,0-10"'],
  [['--cron', '*'.repeat(10_240)], 'SCHEDULE_INVALID', 'at most 256'],
  [['--cron', '@daily', '--timezone', ''], 'UNKNOWN_ZONE', 'is empty'],
  [['--cron', '@daily', '--timezone', 'Europe/Berln'], 'UNKNOWN_ZONE', 'did you mean Europe/Berlin?'],
  [['--cron', '@daily', '--timezone', 'x'.repeat(10_240)], 'UNKNOWN_ZONE', '10240 characters'],
  [['--every', '1ms'], 'SCHEDULE_INVALID', 'from 1s to 3650d'],
])('a bad schedule is refused with its code and what to write instead: %j', async (argv, code, advice) => {
  expect(await next(...argv)).toBe(1);
  expect(complained).toContain(`[${code}]`);
  expect(complained).toContain(advice);
  expect(complained.length).toBeLessThan(500);
});
