/** The servers under the scheduler's worlds: as many worlds as there are seeds are made on them, one after the other. */
import { Redis } from 'ioredis';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import type { DispatcherDeps } from '../../../src/schedule/dispatcher.ts';
import { createRedisIndex, type RedisIndex } from '../../../src/schedule/redis-index.ts';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import { createControlDatabase, type ControlDatabase } from '../../support/control-database.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { createRedisDatabase } from '../../support/stack.ts';
import { createTestClocks, type TestClocks } from '../../support/test-clocks.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** A whole minute, and a bit: no due time is ever now. */
export const startMs = Date.UTC(2026, 2, 1, 12) + 137;

export interface SchedulerGround {
  readonly database: ControlDatabase;
  readonly redis: Redis;
  /** Of two dispatchers, and of the API. */
  readonly indexes: readonly [RedisIndex, RedisIndex, RedisIndex];
  readonly clocks: TestClocks;
  readonly log: DispatcherDeps['log'];
  readonly lines: string[];
  readonly key: (name: string) => string;
  /** Forgets what the last world has left, and its time. */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** On the shared servers, unless others are given. */
export async function createSchedulerGround(
  given: { database?: ControlDatabase; redisUrl?: string } = {},
): Promise<SchedulerGround> {
  const database = given.database ?? (await createControlDatabase());
  const url = given.redisUrl ?? (await createRedisDatabase());
  // Calls fail at once while it is away, and nothing is said to it later that was meant for then.
  const redis = new Redis(url, { maxRetriesPerRequest: 0, retryStrategy: () => 50 });
  redis.on('error', () => {});
  const clocks = await createTestClocks(database.url, redis, startMs);
  const namespace = await fetchInstallation(database.pool);
  const { logger: log, lines } = createKeptLogger();
  const openIndex = (): RedisIndex =>
    createRedisIndex({ address: parseRedisUrl(url), namespace, log, refillLeaseMs: 3_600_000 });
  const indexes = [openIndex(), openIndex(), openIndex()] as const;
  for (const index of indexes)
    await waitUntil('Redis answers', async () => {
      await index.check();
      return true;
    });
  return {
    database,
    redis,
    indexes,
    clocks,
    log,
    lines,
    key: (name) => `{penstock}:${namespace}:${name}`,
    async clear() {
      await database.pool.query('truncate penstock.tenant cascade');
      await redis.flushdb();
      await clocks.moveTo(startMs);
      await clocks.skewRedis(0);
      lines.length = 0;
    },
    async close() {
      for (const index of indexes) index.close();
      redis.disconnect();
      await database.drop();
    },
  };
}
