/**
 * What the roles of one process share: the control database, the schedule index, the secrets. Opened once, as soon as
 * the control database answers, because the index keeps its keys under that database's name.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { Pool } from 'pg';
import type { RoleConfig } from '../config/load-config.ts';
import type { RunStore } from '../ports/run-store.ts';
import type { ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import type { RedisIndex } from '../schedule/redis-index.ts';
import { fetchInstallation } from '../storage/installation.ts';
import { createRunStore } from '../storage/run-store.ts';
import { createSecretBox } from '../storage/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import { logOutages } from './log-outages.ts';
import { retryUntilUp } from './retry-until-up.ts';

export interface ControlParts {
  pool: Pool;
  secretBox: SecretBox;
  index: RedisIndex;
  runs: RunStore;
}

export interface SharedParts {
  /** The pool, also before the database answers. */
  readonly pool: Pool;
  /** Waits until the control database answers. */
  open(signal: AbortSignal): Promise<ControlParts>;
  /** The runs alone, for a process that makes no run rest: it needs no index, and never loads its driver. */
  openRuns(signal: AbortSignal): Promise<RunStore>;
  close(): Promise<void>;
}

const maxConnections = 10;

/** Nothing connects before `open`. */
export function createSharedParts(config: RoleConfig, logger: Logger): SharedParts {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: 5_000,
    // A new session reads the catalog anew before it plans its first statements.
    idleTimeoutMillis: 60_000,
    // A server that is frozen or cut off must not hold a loop: without it a query waits for ever.
    query_timeout: 30_000,
    keepAlive: true,
    application_name: 'penstock',
  });
  pool.on('error', (err) => logger.debug({ err }, 'control database: an idle connection was lost'));
  let opening: Promise<ControlParts> | undefined;
  let index: RedisIndex | undefined;

  const secretBox = createSecretBox(config.masterKey);
  const runStore = (announcer: ScheduleAnnouncer): RunStore =>
    logOutages(createRunStore({ pool, secretBox, announcer, logger }), 'control database', logger);
  const untilUp = (signal: AbortSignal): Promise<string> =>
    retryUntilUp({ what: 'control database', logger, signal }, () => fetchInstallation(pool));

  const open = async (signal: AbortSignal): Promise<ControlParts> => {
    const namespace = await untilUp(signal);
    const { createRedisIndex } = await import('../schedule/redis-index.ts');
    index = createRedisIndex({ address: config.redisUrl, namespace, log: logger });
    return { pool, secretBox, index, runs: runStore(index) };
  };
  const openRuns = async (signal: AbortSignal): Promise<RunStore> => {
    await untilUp(signal);
    return runStore({
      publishDue: async () => {},
      offerRuns: async () => {},
      releaseRuns: async () => {},
      saveLimits: async () => {},
    });
  };
  return {
    pool,
    open: (signal) => (opening ??= open(signal)),
    openRuns,
    close: async () => {
      await opening?.catch(() => undefined);
      index?.close();
      // Who needed an answer has it by now; a frozen server must not hold the process.
      await Promise.race([pool.end(), delay(2_000, undefined, { ref: false })]);
    },
  };
}
