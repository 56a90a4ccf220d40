/**
 * A scheduler's ground on servers of its own, and what really becomes of servers: Postgres crashes and restarts, Redis is
 * away, loses what it wrote last, goes on from an older state, and is loading while somebody asks.
 */
import { copyFile, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { Pool } from 'pg';
import type { PostgresServer } from '../../../src/dev/postgres-server.ts';
import { startStack } from '../../../src/dev/stack.ts';
import { migrate } from '../../../src/storage/migrate.ts';
import { execute } from '../../support/execute.ts';
import { createRedisServers, type RedisNode } from '../../support/redis-servers.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { command, type Shares } from './scheduler-command.ts';
import { createSchedulerGround, type SchedulerGround } from './scheduler-ground.ts';
import { soften, sweepWithoutRedis } from './scheduler-losses.ts';
import { dispatcher, operation } from './scheduler-steps.ts';
import type { SchedulerWorld } from './scheduler-world.ts';

export interface OwnServers {
  readonly postgres: PostgresServer;
  readonly redis: RedisNode;
  readonly ground: SchedulerGround;
  readonly close: () => Promise<void>;
}

export async function createOwnServers(): Promise<OwnServers> {
  const dataDir = await mkdtemp(join(tmpdir(), 'penstock-scheduler-'));
  // Servers crash here, the machine does not.
  const settings = { fsync: 'off', full_page_writes: 'off' };
  const stack = await startStack({ dataDir, log: () => {}, servers: ['postgres'], postgres: { settings } });
  const url = stack.postgres.urlOf('control');
  await execute(stack.postgres.url, 'create database control');
  await migrate(url);
  const pool = new Pool({ connectionString: url, max: 8 });
  pool.on('error', () => {});
  const servers = await createRedisServers();
  const redis = await servers.start('appendonly yes');
  const database = { url, pool, drop: () => pool.end() };
  const ground = await createSchedulerGround({ database, redisUrl: redis.url });
  return {
    postgres: stack.postgres,
    redis,
    ground,
    async close() {
      await ground.close();
      await servers.close();
      await stack.stop({ discard: true });
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** It knows the time again, and everybody that it is back. */
export async function returnOfRedis({ redis, clocks, key, settleClocks }: SchedulerWorld): Promise<void> {
  await waitUntil('Redis is back', () => redis.status === 'ready');
  await clocks.setRedis();
  await redis.del(key('refilling'));
  await settleClocks();
}

/** The append-only file; newer servers keep a folder, where what was written last is in the incremental file. */
async function appendOnlyFile({ admin }: RedisNode): Promise<string> {
  const [, dir] = (await admin.config('GET', 'dir')) as [string, string];
  const names = await readdir(dir, { recursive: true });
  return join(
    dir,
    names.find((name) => /appendonly\.aof(\.\d+\.incr\.aof)?$/.test(name))!,
  );
}

/** @param change of its append-only file, while it is down */
async function restartRedis(
  world: SchedulerWorld,
  redis: RedisNode,
  change: (file: string) => Promise<unknown>,
): Promise<void> {
  soften(world);
  const file = await appendOnlyFile(redis);
  await redis.kill();
  await change(file);
  await redis.start();
  await returnOfRedis(world);
}

/** So many commands that a server which takes its time for each is loading for a second, and hears clients now and then. */
const padding = 3_000;

/** What may really become of these servers, by how often it does. */
export function realLosses({ postgres, redis }: OwnServers): Shares {
  const begun = new WeakMap<SchedulerWorld, { readonly bytes: number; keptFile?: string }>();
  /** What the file held before this world is none of its past. */
  const pastOf = async (world: SchedulerWorld) => {
    const known = begun.get(world) ?? { bytes: (await stat(await appendOnlyFile(redis))).size };
    begun.set(world, known);
    return known;
  };
  const crash = fc
    .tuple(dispatcher, operation, fc.nat(3), fc.constantFrom('SIGQUIT', 'SIGINT'))
    .map(([d, name, calls, signal]) =>
      command(
        `Postgres ends by ${signal} while dispatcher ${d} does ${name}, after ${calls} calls`,
        async ({ dispatchers, database }) => {
          await dispatchers[d].finish();
          await dispatchers[d].begin(name);
          await dispatchers[d].go(calls);
          await Promise.all([dispatchers[d].go(1), postgres.kill(signal)]);
          await dispatchers[d].finish();
          await waitUntil('the pool knows', () => database.pool.totalCount === 0);
          await postgres.start();
        },
      ),
    );
  const away = fc.tuple(dispatcher, fc.integer({ min: 1, max: 4 })).map(([d, sweeps]) =>
    command(`Redis is down for ${sweeps} sweeps of dispatcher ${d}`, async (world) => {
      await world.dispatchers[d].finish();
      await restartRedis(world, redis, () => sweepWithoutRedis(world, d, sweeps));
    }),
  );
  const cut = fc.double({ min: 0, max: 1, noNaN: true }).map((part) =>
    command(`Redis restarts with ${Math.round(part * 100)} % of what it wrote`, async (world) => {
      const { bytes } = await pastOf(world);
      await restartRedis(world, redis, async (file) => {
        const { size } = await stat(file);
        await truncate(file, Math.floor(bytes + part * Math.max(0, size - bytes)));
      });
    }),
  );
  const keep = fc.constant(null).map(() =>
    command('a copy is made of what Redis has written', async (world) => {
      const past = await pastOf(world);
      const file = await appendOnlyFile(redis);
      past.keptFile = `${file}.kept`;
      await copyFile(file, past.keptFile);
    }),
  );
  const failOver = fc.constant(null).map(() =>
    command('Redis goes on from that copy', async (world) => {
      const { keptFile } = await pastOf(world);
      if (keptFile !== undefined) await restartRedis(world, redis, (file) => copyFile(keptFile, file));
    }),
  );
  const loading = fc.tuple(dispatcher, operation).map(([d, name]) =>
    command(`dispatcher ${d} does ${name} while Redis is loading`, async (world) => {
      soften(world);
      await world.dispatchers[d].finish();
      const pipeline = redis.admin.pipeline();
      for (let n = 0; n < padding; n += 1) pipeline.set('test:padding', n);
      await pipeline.exec();
      await redis.kill();
      await redis.start('key-load-delay 300');
      await world.dispatchers[d].does(name);
      await returnOfRedis(world);
    }),
  );
  return [crash, away, cut, keep, failOver, loading].map((fault) => [2, fault]);
}
