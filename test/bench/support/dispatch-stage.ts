/** Where schedules are measured: Postgres and Redis, and dispatchers in processes of their own whose engine only counts. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { newId } from '../../../src/domain/ids.ts';
import { takeOwnFolder } from '../../../src/dev/own-folder.ts';
import { cacheDir, startStack } from '../../../src/dev/stack.ts';
import { createRedisIndex } from '../../../src/schedule/redis-index.ts';
import { migrate } from '../../../src/storage/migrate.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import type { Findings } from './bench-report.ts';
import { type MeasuredDispatcher, startDispatcher } from './measured-dispatcher.ts';
import { publishResult } from './publish-result.ts';
import { execute, readPostgresVersion, readRedisVersion } from './servers.ts';

export interface DispatchStage {
  readonly controlUrl: string;
  readonly redisUrl: string;
  /** What Redis holds, in MiB. */
  readonly readIndexMiB: () => Promise<number>;
  /** Resolves when it has filled the index. */
  readonly startDispatcher: () => Promise<MeasuredDispatcher>;
  /** Waits for an instant, in ms since the Unix epoch. */
  readonly until: (ms: number) => Promise<void>;
  readonly log: (line: string) => void;
}

/** Starts the servers, measures, publishes the result, and takes everything down. */
export async function onDispatchStage(
  measure: (stage: DispatchStage) => Promise<Findings>,
  postgresSettings: Readonly<Record<string, string>> = {},
): Promise<void> {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const dataDir = await takeOwnFolder(join(cacheDir, '..', 'bench'), log);
  const servers = await startStack({
    dataDir,
    log,
    servers: ['postgres', 'redis'],
    postgres: { settings: postgresSettings },
  });
  const { postgres, redis } = servers;
  const client = new Redis(redis.url);
  try {
    await execute(postgres.url, 'create database bench_control');
    const controlUrl = postgres.urlOf('bench_control');
    await migrate(controlUrl);
    const findings = await measure({
      controlUrl,
      redisUrl: redis.url,
      readIndexMiB: async () =>
        Number(/used_memory:(\d+)/.exec(await client.info('memory'))![1]) / 1024 / 1024,
      startDispatcher: () =>
        startDispatcher({ controlUrl, redisUrl: redis.url, redisPid: servers.pids().redis, client }),
      until: (ms) => sleep(Math.max(0, ms - Date.now())),
      log,
    });
    publishResult(findings, {
      postgres: await readPostgresVersion(postgres.url),
      redis: await readRedisVersion(redis.url),
      temporal: 'none',
    });
  } finally {
    client.disconnect();
    await servers.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** The claim script by itself, over an index of its own: in how many seconds it lends out so many. */
export async function measureClaims(
  { redisUrl }: Pick<DispatchStage, 'redisUrl'>,
  count: number,
): Promise<number> {
  const log = createLogger({ level: 'warn', name: 'bench' });
  const index = createRedisIndex({ address: parseRedisUrl(redisUrl), namespace: 'claims', log });
  await index.check();
  for (let left = count; left > 0; left -= 1_000)
    await index.publishDue(
      Array.from({ length: Math.min(left, 1_000) }, () => ({
        syncId: newId('sync'),
        version: 1,
        nextDueAtMs: 1_000,
      })),
    );
  const startedMs = performance.now();
  for (let left = count; left > 0;) left -= (await index.claimDue(100)).syncIds.length;
  const seconds = (performance.now() - startedMs) / 1_000;
  index.close();
  return seconds;
}
