/** What the doctor finds on servers that are well, and on servers that are not. */
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { Client } from 'pg';
import { childEnvironment } from '../../../src/config/child-environment.ts';
import { startStack } from '../../../src/dev/stack.ts';
import type { Finding } from '../../../src/workers/doctor/finding.ts';
import { createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';
import { createRedisServers } from '../../support/redis-servers.ts';
import {
  createDatabase,
  createNamespace,
  createRedisDatabase,
  type TestDatabase,
} from '../../support/stack.ts';

const execute = promisify(execFile);
let control: ControlFixture;
let empty: TestDatabase;
let options: Record<string, string>;
beforeAll(async () => {
  control = await createControlFixture();
  await control.addTenant('acme');
  empty = await createDatabase();
  const { address, namespace } = await createNamespace();
  options = {
    databaseUrl: control.url,
    redisUrl: await createRedisDatabase(),
    temporalAddress: address,
    temporalNamespace: namespace,
    masterKey: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  };
});
afterAll(async () => {
  await control.drop();
  await empty.drop();
});

async function doctor(over: Record<string, string> = {}): Promise<{ code: number; findings: Finding[] }> {
  const ended = await execute(process.execPath, ['dist/cli/main.js', 'doctor', '--json'], {
    env: childEnvironment({ ...options, ...over }),
  }).then(
    ({ stdout }) => ({ code: 0, stdout }),
    (error: { code: number; stdout: string }) => error,
  );
  const { ok, findings } = JSON.parse(ended.stdout) as { ok: boolean; findings: Finding[] };
  expect(ok).toBe(ended.code === 0);
  return { code: ended.code, findings };
}

const failuresOf = (findings: readonly Finding[]) =>
  findings.filter(({ state }) => state === 'failed').map(({ subject, name }) => `${subject} ${name}`);

describe('the doctor', () => {
  test('finds nothing to mend on servers that are well', async () => {
    const { code, findings } = await doctor();
    expect([code, failuresOf(findings)]).toEqual([0, []]);
    expect(findings.map(({ subject, name }) => `${subject} ${name}`)).toEqual([
      'postgres version',
      'postgres clock',
      'postgres login',
      'postgres schema',
      'postgres tenants',
      'postgres secrets',
      'redis version',
      'redis eviction',
      'redis clock',
      'redis user',
      'temporal version',
      'temporal namespace',
      'temporal search attributes',
      'workers common',
    ]);
    expect(findings.every(({ state, cure }) => state === 'ok' || cure !== undefined)).toBe(true);
  });

  test('says for a server that does not answer which one, side by side with the others', async () => {
    const { code, findings } = await doctor({
      databaseUrl: 'postgres://u:hush@127.0.0.1:9/x',
      redisUrl: 'redis://127.0.0.1:9',
      temporalAddress: '127.0.0.1:9',
    });
    expect([code, failuresOf(findings)]).toEqual([
      3,
      ['postgres reachable', 'redis reachable', 'temporal reachable'],
    ]);
    expect(JSON.stringify(findings)).not.toContain('hush');
  });

  test('says what an empty database, a weak login and a namespace that is not there need', async () => {
    const admin = new Client({ connectionString: empty.url });
    await admin.connect();
    const login = `weak_${empty.name}`;
    await admin.query(`create role "${login}" login password 'x'`);
    await admin.end();
    const url = new URL(empty.url);
    [url.username, url.password] = [login, 'x'];
    const { findings } = await doctor({ databaseUrl: url.href, temporalNamespace: 'nowhere' });
    expect(failuresOf(findings)).toEqual(['postgres login', 'postgres schema', 'temporal namespace']);
    const cures = findings.map(({ cure }) => cure ?? '').join('\n');
    expect(cures).toContain(`grant penstock_api, penstock_engine, penstock_operator to "${login}"`);
    expect(cures).toContain('penstock migrate');
    expect(cures).toContain('temporal operator namespace create --namespace nowhere');
  });

  test('misses the workers of a class that a connection names, and says how to start one', async () => {
    await control.pool.query(`update penstock.connection set worker_class = 'eu'`);
    try {
      const { code, findings } = await doctor();
      expect(findings.filter(({ subject }) => subject === 'workers')).toMatchObject([
        { name: 'common', state: 'warning' },
        {
          name: 'class eu',
          state: 'warning',
          cure: expect.stringContaining('penstock start --roles worker --worker-class eu'),
        },
      ]);
      expect(code).toBe(0);
    } finally {
      await control.pool.query('update penstock.connection set worker_class = null');
    }
  });

  test('misses a master key that sealed secrets', async () => {
    const { findings } = await doctor({ masterKey: `k2:${Buffer.alloc(32, 2).toString('base64')}` });
    expect(findings.find(({ name }) => name === 'secrets')).toMatchObject({
      state: 'failed',
      detail: '1 sealed by the master key "k1"',
    });
  });

  test('notices a table whose row-level security was switched off', async () => {
    await control.pool.query('alter table penstock.run disable row level security');
    try {
      expect((await doctor()).findings.find(({ name }) => name === 'tenants')).toMatchObject({
        state: 'failed',
        detail: 'row-level security is off on run',
      });
    } finally {
      await control.pool.query('alter table penstock.run enable row level security');
    }
  });

  test('says what a user of Redis lacks, and is content with one who may do just that', async () => {
    const servers = await createRedisServers();
    const { admin, port } = await servers.start();
    const redisUrl = `redis://penstock:pw@127.0.0.1:${port}`;
    const examineUser = async () => (await doctor({ redisUrl })).findings.find(({ name }) => name === 'user');
    try {
      await admin.acl('SETUSER', 'penstock', 'on', '>pw', '+info', '+evalsha', '+eval');
      const lacking = await examineUser();
      expect(lacking).toMatchObject({ state: 'failed', detail: expect.stringContaining('eval') });
      const [verb, ...rules] = lacking!.cure!.replace('ACL ', '').split(' ');
      await admin.call('ACL', verb!, ...rules);
      expect(await examineUser()).toMatchObject({ state: 'ok' });
      await admin.acl('SETUSER', 'penstock', '-publish');
      expect(await examineUser()).toMatchObject({
        state: 'failed',
        detail: expect.stringContaining('may not publish'),
      });
    } finally {
      await servers.close();
    }
  });

  test('refuses a Redis that deletes keys by itself', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'doctor-'));
    const stack = await startStack({ dataDir, servers: ['redis'], log: () => {} });
    const redis = new Redis(stack.redis.url);
    try {
      await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
      const { findings } = await doctor({ redisUrl: stack.redis.url });
      expect(failuresOf(findings)).toEqual(['redis eviction']);
    } finally {
      redis.disconnect();
      await stack.stop({ discard: true });
    }
  });
});
