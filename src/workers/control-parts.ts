/**
 * What the roles of one process share: the control database, the schedule index, the secrets. Opened once, as soon as
 * the control database answers, because the index keeps its keys under that database's name.
 */
import { Pool } from 'pg';
import type { RoleConfig } from '../config/load-config.ts';
import type { RunStore } from '../ports/run-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { createRedisIndex, type RedisIndex } from '../schedule/redis-index.ts';
import { fetchInstallation } from '../storage/installation.ts';
import { createRunStore } from '../storage/run-store.ts';
import { createSecretBox } from '../storage/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import { retryUntilUp } from './retry-until-up.ts';

interface ControlParts {
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
  close(): Promise<void>;
}

const maxConnections = 10;

/** Nothing connects before `open`. */
export function createSharedParts(config: RoleConfig, logger: Logger): SharedParts {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    max: maxConnections,
    connectionTimeoutMillis: 5_000,
    // A server that is frozen or cut off must not hold a loop: without it a query waits for ever.
    query_timeout: 30_000,
    keepAlive: true,
    application_name: 'penstock',
  });
  pool.on('error', (err) => logger.warn({ err }, 'control database: an idle connection was lost'));
  let opening: Promise<ControlParts> | undefined;
  let index: RedisIndex | undefined;

  const open = async (signal: AbortSignal): Promise<ControlParts> => {
    const waiting = { what: 'control database', logger, signal };
    const namespace = await retryUntilUp(waiting, () => fetchInstallation(pool));
    index = createRedisIndex({ url: config.redisUrl, namespace, log: logger });
    const secretBox = createSecretBox(config.masterKey);
    return { pool, secretBox, index, runs: createRunStore({ pool, secretBox, announcer: index, logger }) };
  };
  return {
    pool,
    open: (signal) => (opening ??= open(signal)),
    close: async () => {
      await opening?.catch(() => undefined);
      index?.close();
      await pool.end();
    },
  };
}
