/** What a command line comes to: help made from data, and one clear line with exit code 78 for a wrong one. */
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { runCli } from '../../../src/cli/run-cli.ts';
import type { Command, CommandInput } from '../../../src/cli/command.ts';
import { PenstockError } from '../../../src/domain/errors.ts';

let printed: string;
let complained: string;
let inputs: CommandInput[];

beforeEach(() => {
  [printed, complained, inputs] = ['', '', []];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => Boolean((printed += String(text))));
  jest.spyOn(process.stderr, 'write').mockImplementation((text) => Boolean((complained += String(text))));
});
afterEach(() => {
  jest.restoreAllMocks();
});

const fill: Command = {
  args: [
    { name: '<tank>', doc: 'what to fill' },
    { name: '[level]', doc: 'how far' },
  ],
  options: [
    { flag: '--wait', doc: 'until it is full' },
    { flag: '--from <river>', doc: 'where the water comes from', default: 'brook' },
  ],
  config: ['temporalAddress', 'databaseUrl'],
  run: (input) => {
    inputs.push(input);
    return Promise.resolve(input.options['wait'] ? 3 : undefined);
  },
};
const leak: Command = {
  run: () => Promise.reject(new PenstockError('CONFIG', 'databaseUrl is missing: set PENSTOCK_DATABASE_URL')),
};
const burst: Command = {
  run: () => Promise.reject(new PenstockError('ENGINE_UNREACHABLE', 'no Temporal at x:1')),
};

const notLoaded = () => Promise.reject(new Error('a command that does not run is not loaded'));
const entry = (command: Command) => ({ summary: 'for the test', load: () => Promise.resolve({ command }) });
const cli = (...argv: string[]) =>
  runCli(
    argv,
    {
      fill: entry(fill),
      leak: entry(leak),
      burst: entry(burst),
      other: { summary: 'idle', load: notLoaded },
    },
    '1.2.3',
  );

describe('a command line', () => {
  test('reaches its command with arguments, options and options of the configuration', async () => {
    const argv = ['fill', 'pond', '--from', 'river', '--temporal-address', 'here:7233', '--json'];
    expect(await cli(...argv)).toBe(0);
    expect(inputs).toMatchObject([
      {
        args: ['pond', undefined],
        options: { from: 'river' },
        flags: { temporalAddress: 'here:7233' },
        json: true,
      },
    ]);
  });

  test('takes defaults, and the exit code of its command', async () => {
    expect(await cli('fill', 'pond', '--wait')).toBe(3);
    expect(inputs).toMatchObject([{ options: { wait: true, from: 'brook' }, flags: {}, json: false }]);
  });

  test.each([
    [['fill'], "penstock: missing required argument 'tank' (see penstock --help)\n"],
    [
      ['fill', 'pond', '--form', 'x'],
      "penstock: unknown option '--form' (Did you mean --from?) (see penstock --help)\n",
    ],
    [['fill', 'pond', '--from'], "penstock: option '--from <river>' argument missing"],
    [['fill', 'pond', '1', '2'], "penstock: too many arguments for 'fill'"],
    [['spill'], "penstock: unknown command 'spill'"],
    [
      ['leak'],
      'penstock: databaseUrl is missing: set PENSTOCK_DATABASE_URL [CONFIG] Correct the named option.',
    ],
  ])('%j is refused in one line, exit code 78', async (argv, line) => {
    expect(await cli(...argv)).toBe(78);
    expect(complained.startsWith(line)).toBe(true);
    expect(complained.trim()).not.toContain('\n');
    expect(printed).toBe('');
    expect(inputs).toEqual([]);
  });

  test('that fails otherwise ends with 1, the error’s code and its cure', async () => {
    expect(await cli('burst')).toBe(1);
    expect(complained).toBe(
      'penstock: no Temporal at x:1 [ENGINE_UNREACHABLE] Runs stay queued and start when it is back.\n',
    );
  });

  test('asks for help: every command, or all of one, and loads no other', async () => {
    expect(await cli()).toBe(0);
    expect(printed).toContain('fill');
    expect(printed).toContain('idle');
    printed = '';
    expect(await cli('fill', '--help')).toBe(0);
    for (const text of [
      'what to fill',
      '--from <river>',
      'brook',
      '--temporal-address',
      'PENSTOCK_DATABASE_URL',
    ])
      expect(printed).toContain(text);
    // A process list shows flags: what is secret has none.
    expect(printed).not.toContain('--database-url');
  });

  test('asks for the version', async () => {
    expect(await cli('--version')).toBe(0);
    expect(printed).toBe('1.2.3\n');
  });
});
