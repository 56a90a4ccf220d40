/** Where schedules are measured: Postgres, Redis and, if wanted, an engine; dispatchers run in processes of their own. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { newId } from '../../../src/domain/ids.ts';
import { takeOwnFolder } from '../../../src/dev/own-folder.ts';
import type { ServerName } from '../../../src/dev/programs.ts';
import { cacheDir, startStack } from '../../../src/dev/stack.ts';
import { createRedisIndex } from '../../../src/schedule/redis-index.ts';
import { migrate } from '../../../src/storage/migrate.ts';
import { createLogger } from '../../../src/telemetry/logger.ts';
import type { Findings } from './bench-report.ts';
import { type MeasuredDispatcher, startDispatcher } from './measured-dispatcher.ts';
import { publishResult } from './publish-result.ts';
import { execute, readPostgresVersion, readRedisVersion, readTemporalVersion } from './servers.ts';

export interface DispatchStage {
  readonly controlUrl: string;
  readonly redisUrl: string;
  /** Of the engine that runs are started in; undefined: they are only counted. */
  readonly engineAddress: string | undefined;
  /** What Redis holds, in MiB. */
  readonly readIndexMiB: () => Promise<number>;
  /** Resolves when it has filled the index. */
  readonly startDispatcher: (options?: { ticketMs?: number }) => Promise<MeasuredDispatcher>;
  /** Waits for an instant, in ms since the Unix epoch. */
  readonly until: (ms: number) => Promise<void>;
  readonly log: (line: string) => void;
}

type Versions = Parameters<typeof publishResult>[1];
type PostgresSettings = Readonly<Record<string, string>>;

/** Starts the servers without an engine, measures, publishes the result, and takes everything down. */
export async function onDispatchStage(
  measure: (stage: DispatchStage) => Promise<Findings>,
  postgresSettings: PostgresSettings = {},
): Promise<void> {
  const { result, versions } = await onFreshStage(measure, { engine: false, postgresSettings });
  publishResult(result, versions);
}

/** Starts servers that know nothing yet, measures, and takes everything down. */
export async function onFreshStage<T>(
  measure: (stage: DispatchStage) => Promise<T>,
  { engine, postgresSettings = {} }: { engine: boolean; postgresSettings?: PostgresSettings },
): Promise<{ result: T; versions: Versions }> {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const dataDir = await takeOwnFolder(join(cacheDir, '..', 'bench'), log);
  const names: readonly ServerName[] = ['postgres', 'redis', ...(engine ? (['temporal'] as const) : [])];
  const postgresOptions = { settings: postgresSettings };
  const servers = await startStack({ dataDir, log: () => {}, servers: names, postgres: postgresOptions });
  const { postgres, redis } = servers;
  const engineAddress = engine ? servers.temporal.address : undefined;
  const client = new Redis(redis.url);
  try {
    await execute(postgres.url, 'create database bench_control');
    const controlUrl = postgres.urlOf('bench_control');
    await migrate(controlUrl);
    const result = await measure({
      controlUrl,
      redisUrl: redis.url,
      engineAddress,
      readIndexMiB: async () =>
        Number(/used_memory:(\d+)/.exec(await client.info('memory'))![1]) / 1024 / 1024,
      startDispatcher: ({ ticketMs } = {}) =>
        startDispatcher({
          controlUrl,
          redisUrl: redis.url,
          redisPid: servers.pids().redis,
          postgresPid: servers.pids().postgres,
          engineAddress,
          ticketMs,
          client,
        }),
      until: (ms) => sleep(Math.max(0, ms - Date.now())),
      log,
    });
    const versions = {
      postgres: await readPostgresVersion(postgres.url),
      redis: await readRedisVersion(redis.url),
      temporal: engineAddress ? await readTemporalVersion(engineAddress) : 'none',
    };
    return { result, versions };
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
