/** Commands of a checkout on a machine that lacks what they need. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';

const execute = promisify(execFile);

const command = (...args: string[]): Promise<unknown> =>
  // Nothing on PATH: there is no `mount`, whoever we are.
  execute(process.execPath, ['bin/penstock.mjs', ...args], {
    env: { ...process.env, PATH: '', PENSTOCK_CHROMIUM: '' },
  }).catch((error: unknown) => error);

const faults = (...args: string[]): Promise<unknown> => command('faults', ...args);

test('what the machine lacks for all faults is listed, and nothing is run or passed over', async () => {
  expect(await faults('--seeds', '3')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(
      /^penstock: this machine lacks for all faults:\n( {2}.*\n)* {2}the right to mount a tmpfs: .*\n$/,
    ),
  });
});

test('a number of seeds that is none is refused', async () => {
  expect(await faults('--seeds', 'many')).toMatchObject({
    code: 1,
    stderr: 'penstock: --seeds must be a whole number from 1 to 99999, not "many".\n',
  });
});

test('without a browser no pictures are taken', async () => {
  expect(await command('temporal-screenshots')).toMatchObject({
    code: 1,
    stdout: '',
    stderr: expect.stringMatching(/^penstock: this machine lacks for screenshots:\n {2}Chromium on PATH, /),
  });
});
