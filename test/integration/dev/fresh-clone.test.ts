/** A fresh clone sets itself up with nothing but Node: packages, build, CLI; and does none of it twice. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);
let clone: string;

beforeAll(async () => {
  clone = await mkdtemp(join(tmpdir(), 'penstock-clone-'));
  const { stdout } = await execute('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z']);
  const files = stdout.split('\0').filter((file) => /^(bin|src)\/|^[^/]+$/.test(file));
  for (const file of files.filter(Boolean)) {
    await mkdir(join(clone, dirname(file)), { recursive: true });
    await cp(file, join(clone, file));
  }
});
afterAll(() => rm(clone, { recursive: true, force: true }));

const penstock = (...args: string[]) =>
  execute(process.execPath, [join('bin', 'penstock.mjs'), ...args], { cwd: clone });

const source = (name: string) => join(clone, 'src', 'cli', `${name}.ts`);
const built = (name: string) => join(clone, 'dist', 'cli', `${name}.js`);

const setUpLines = (stderr: string) => stderr.split('\n').filter((line) => line.startsWith('penstock: '));

describe('a fresh clone', () => {
  test('installs its packages, builds and runs, with nothing but the answer on standard output', async () => {
    const { stdout, stderr } = await penstock('--version');
    const { version } = JSON.parse(await readFile(join(clone, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(stdout).toBe(`${version}\n`);
    expect(setUpLines(stderr)).toEqual([
      'penstock: installing packages (npm ci) …',
      'penstock: building dist/ …',
    ]);
  }, 300_000);

  test('does nothing of that again', async () => {
    expect((await penstock('--version')).stderr).toBe('');
  });

  test('builds again when a source has changed', async () => {
    await writeFile(source('extra'), 'export const extra = 1;\n');
    expect(setUpLines((await penstock('--version')).stderr)).toEqual(['penstock: building dist/ …']);
    expect(await readFile(built('extra'), 'utf8')).toContain('extra = 1');
  }, 120_000);

  test('whose sources do not compile says so and does not pass for built', async () => {
    await rm(source('extra'));
    await writeFile(source('broken'), "export const broken: number = 'text';\n");
    for (const attempt of ['first', 'second']) {
      const failure = (await penstock('--version').catch((error: unknown) => error)) as Record<
        string,
        unknown
      >;
      expect([attempt, failure['code']]).toEqual([attempt, 1]);
      expect(failure['stderr']).toContain('src/cli/broken.ts');
    }
  }, 120_000);

  test('builds when they compile again, and forgets what has no source any more', async () => {
    await rm(source('broken'));
    expect((await penstock('--version')).stdout).toMatch(/^\d/);
    await expect(readFile(built('extra'))).rejects.toMatchObject({ code: 'ENOENT' });
  }, 120_000);
});
