/** The servers end with their owner, however it ends, and a later start finds a clean house with the same data. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { spawn, type ChildProcess } from 'node:child_process';
import { access, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { identifyProcess } from '../../../src/dev/process-identity.ts';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { waitUntil } from '../../support/wait-until.ts';

let dataDir: string;
const owners: ChildProcess[] = [];
const stacks: Pick<Stack<never>, 'stop'>[] = [];
const lines: string[] = [];

beforeEach(async () => {
  lines.length = 0;
  dataDir = join(await mkdtemp(join(tmpdir(), 'penstock-life-')), 'data');
});
afterEach(async () => {
  for (const owner of owners.splice(0)) owner.kill('SIGKILL');
  for (const stack of stacks.splice(0)) await stack.stop({ discard: true });
  await rm(join(dataDir, '..'), { recursive: true, force: true });
});

interface Owned {
  readonly owner: ChildProcess;
  readonly pids: Record<string, number>;
  readonly redisUrl: string;
}

/** Starts a stack in a process of its own. */
async function ownStack(...servers: string[]): Promise<Owned> {
  const owner = spawn(process.execPath, ['test/support/stack-owner.mjs', dataDir, ...servers], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  owners.push(owner);
  for await (const line of createInterface({ input: owner.stdout }))
    return { owner, ...(JSON.parse(line) as { pids: Record<string, number>; redisUrl: string }) };
  throw new Error('the owner ended without a word');
}

async function start<Name extends 'postgres' | 'redis' | 'temporal'>(
  ...servers: Name[]
): Promise<Stack<Name>> {
  const stack = await startStack({ dataDir, servers, log: (line) => lines.push(line) });
  stacks.push(stack);
  return stack;
}

const areGone = (pids: Record<string, number>) => Object.values(pids).every((pid) => !identifyProcess(pid));

describe('the stack', () => {
  test('ends whole when its owner is killed with SIGKILL', async () => {
    const { owner, pids } = await ownStack('postgres', 'redis', 'temporal');
    expect(Object.keys(pids).sort()).toEqual(['guard', 'postgres', 'redis', 'temporal']);
    owner.kill('SIGKILL');
    await waitUntil('all servers and the guard have ended', () => areGone(pids));
    // A clean shutdown removes postmaster.pid.
    await expect(readFile(join(dataDir, 'postgres', 'data', 'postmaster.pid'))).rejects.toMatchObject({
      code: 'ENOENT',
    });
  });

  test('that lost its owner and its guard is cleared by the next start, which finds the data', async () => {
    const { owner, pids, redisUrl } = await ownStack('redis');
    const before = new Redis(redisUrl);
    await before.set('kept', 'yes');
    before.disconnect();
    // Frozen, it does nothing about the end of its guard.
    owner.kill('SIGSTOP');
    process.kill(pids['guard']!, 'SIGKILL');
    owner.kill('SIGKILL');
    await waitUntil('the owner and its guard have ended', () =>
      areGone({ owner: owner.pid!, guard: pids['guard']! }),
    );
    expect(identifyProcess(pids['redis']!)).toBeDefined();

    const { redis } = await start('redis');
    expect(lines).toContain(`ending what an earlier start left running: redis (${pids['redis']})`);
    expect(areGone(pids)).toBe(true);
    const after = new Redis(redis.url);
    expect(await after.get('kept')).toBe('yes');
    after.disconnect();
  });

  test('refuses a data folder that another process uses', async () => {
    const { owner } = await ownStack('redis');
    await expect(start('redis')).rejects.toMatchObject({
      code: 'DATA_DIR_IN_USE',
      message: `${dataDir} is used by process ${owner.pid}.`,
    });
  });

  test('starts a killed server again on the same port, with what was committed', async () => {
    const { postgres, redis } = await start('postgres', 'redis');
    const client = new Client({ connectionString: postgres.url });
    client.on('error', () => {});
    await client.connect();
    await client.query('create table kept as select 1 as id');
    const pid = postgres.pid();
    await postgres.kill();
    expect(identifyProcess(pid)).toBeUndefined();
    await postgres.start();
    const again = new Client({ connectionString: postgres.url });
    await again.connect();
    expect((await again.query('select id from kept')).rows).toEqual([{ id: 1 }]);
    await again.end();

    const commands = new Redis(redis.url);
    await commands.set('kept', 'yes');
    await redis.kill();
    await redis.start();
    expect(await commands.get('kept')).toBe('yes');
    commands.disconnect();
  });

  test('keeps its data over a stop and deletes all of it when told so', async () => {
    const first = await start('redis');
    const commands = new Redis(first.redis.url);
    await commands.set('kept', 'yes');
    commands.disconnect();
    await first.stop();
    const second = await start('redis');
    const after = new Redis(second.redis.url);
    expect(await after.get('kept')).toBe('yes');
    after.disconnect();
    await second.stop({ discard: true });
    await expect(access(dataDir)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('that fails to start says why, with the end of the server’s log, and leaves nothing running', async () => {
    const attempt = startStack({
      dataDir,
      servers: ['postgres', 'redis'],
      log: (line) => lines.push(line),
      postgres: { settings: { shared_buffers: 'plenty' } },
    });
    await expect(attempt).rejects.toMatchObject({ code: 'SERVER_FAILED' });
    const message = await attempt.catch((error: Error) => error.message);
    expect(message).toContain('postgres ended while it started');
    expect(message).toContain('invalid value for parameter "shared_buffers"');
    const redisLog = await readFile(join(dataDir, 'logs', 'redis.log'), 'utf8');
    const redisPid = Number(/pid=(\d+), just started/.exec(redisLog)![1]);
    expect(identifyProcess(redisPid)).toBeUndefined();
  });
});
