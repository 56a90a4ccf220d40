/** The order in which server programs are looked for, with shell scripts in the programs' place. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { findProgram } from '../../../src/dev/find-program.ts';
import { programs, type ServerProgram } from '../../../src/dev/programs.ts';

let home: string;
let lines: string[];

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'penstock-find-'));
  lines = [];
});
afterEach(() => rm(home, { recursive: true, force: true }));

/** A script that prints a version as redis-server does. */
async function plant(file: string, version: string): Promise<string> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `#!/bin/sh\necho "Redis server v=${version} sha=0"\n`);
  await chmod(file, 0o755);
  return file;
}

const installing = (version: string) => ({
  from: `a test that plants ${version}`,
  install: async (folder: string) => void (await plant(join(folder, 'redis-server'), version)),
});
const failing = { from: 'nowhere', install: () => Promise.reject(new Error('no route\nto the host')) };

function find(
  program: Partial<ServerProgram> = {},
  options: { redisServer?: string; ignorePath?: boolean } = {},
) {
  return findProgram(
    { ...programs.redis, cacheFolder: 'redis', installers: [installing('7.0.1')], ...program },
    {
      cacheDir: join(home, 'cache'),
      log: (line) => lines.push(line),
      options: {
        postgresBin: undefined,
        redisServer: options.redisServer,
        temporalCli: undefined,
        ignorePath: options.ignorePath ?? false,
        searchPath: [join(home, 'old'), join(home, 'good')],
      },
    },
  );
}

describe('a server program', () => {
  test('is the configured one, before PATH', async () => {
    const file = await plant(join(home, 'mine'), '6.2.0');
    await plant(join(home, 'good', 'redis-server'), '7.2.0');
    expect(await find({}, { redisServer: file })).toEqual({ file, version: '6.2.0', route: 'config' });
    expect(lines).toEqual([`redis: Redis 6.2.0 given by PENSTOCK_REDIS_SERVER: ${file}`]);
  });

  test('that is configured and no good is an error, not a reason to look further', async () => {
    await plant(join(home, 'good', 'redis-server'), '7.2.0');
    const old = await plant(join(home, 'mine'), '5.0.3');
    await expect(find({}, { redisServer: old })).rejects.toMatchObject({
      code: 'CONFIG',
      message: `PENSTOCK_REDIS_SERVER: ${old} is version 5.0.3, older than 6.2`,
    });
    await expect(find({}, { redisServer: join(home, 'absent') })).rejects.toMatchObject({ code: 'CONFIG' });
  });

  test('comes from PATH, past one that is too old', async () => {
    await plant(join(home, 'old', 'redis-server'), '6.0.16');
    const file = await plant(join(home, 'good', 'redis-server'), '10.0.1');
    expect(await find()).toEqual({ file, version: '10.0.1', route: 'path' });
    expect(lines).toEqual([`redis: Redis 10.0.1 on PATH: ${file}`]);
  });

  test('on PATH without its companions is passed over', async () => {
    await plant(join(home, 'good', 'redis-server'), '7.2.0');
    expect((await find({ companions: ['initdb'], installers: [withCompanion] })).route).toBe('installed');
  });

  test('on PATH is not looked at with PENSTOCK_IGNORE_PATH', async () => {
    await plant(join(home, 'good', 'redis-server'), '7.2.0');
    const cached = await plant(join(home, 'cache', 'redis', 'redis-server'), '6.2.14');
    expect(await find({}, { ignorePath: true })).toEqual({ file: cached, version: '6.2.14', route: 'cache' });
  });

  test('is installed once and found in the cache afterwards', async () => {
    const file = join(home, 'cache', 'redis', 'redis-server');
    expect(await find()).toEqual({ file, version: '7.0.1', route: 'installed' });
    expect(await find({ installers: [failing] })).toEqual({ file, version: '7.0.1', route: 'cache' });
    expect(await readdir(join(home, 'cache'))).toEqual(['redis']);
  });

  test('is installed by the next way when the first one fails, with a line that says so', async () => {
    expect((await find({ installers: [failing, installing('7.0.2')] })).version).toBe('7.0.2');
    expect(lines).toContain('redis: not from nowhere: no route');
    expect(lines.at(-1)).toMatch(/^redis: Redis 7\.0\.2 installed from a test that plants 7\.0\.2: /);
  });

  test('in a broken cache is installed anew', async () => {
    await mkdir(join(home, 'cache', 'redis'), { recursive: true });
    await writeFile(join(home, 'cache', 'redis', 'redis-server'), 'half a download');
    expect((await find()).route).toBe('installed');
    expect((await find()).route).toBe('cache');
  });

  test('is installed by several processes at the same time without harm', async () => {
    const found = await Promise.all([find(), find(), find()]);
    expect(new Set(found.map(({ file }) => file)).size).toBe(1);
    expect(await readdir(join(home, 'cache'))).toEqual(['redis']);
  });

  test('that cannot be had names every reason and what to type', async () => {
    const old = await plant(join(home, 'old', 'redis-server'), '6.0.16');
    const attempt = find({ installers: [failing, installing('1.0.0')] });
    await expect(attempt).rejects.toMatchObject({ code: 'SERVER_MISSING' });
    const message = await attempt.catch((error: Error) => error.message);
    expect(message).toContain(`PATH: ${old} is version 6.0.16, older than 6.2`);
    expect(message).toContain('nowhere: no route');
    expect(message).toContain('is version 1.0.0, older than 6.2');
    expect(message).toContain('apt-get install redis-server');
    expect(message).toContain('or set PENSTOCK_REDIS_SERVER');
    expect(await readdir(join(home, 'cache'))).toEqual([]);
  });
});

const withCompanion = {
  from: 'a test that plants both',
  install: async (folder: string) => {
    await plant(join(folder, 'redis-server'), '7.0.1');
    await plant(join(folder, 'initdb'), '7.0.1');
  },
};

describe('the version that a program prints', () => {
  test.each([
    ['postgres', 'postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)', '15.18'],
    ['postgres', 'postgres (PostgreSQL) 18beta1', '18'],
    ['redis', 'Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269', '6.2.14'],
    ['temporal', 'temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)', '1.9.1'],
  ] as const)('of %s is found in "%s"', (name, printed, version) => {
    expect(programs[name].versionPattern.exec(printed)?.[1]).toBe(version);
  });
});
