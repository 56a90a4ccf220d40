/** Looks at the control database, Redis, Temporal and the workers, side by side; each says what it found and what to do. */
import type { Config } from '../../config/load-config.ts';
import { examinePostgres } from './examine-postgres.ts';
import { examineRedis } from './examine-redis.ts';
import { temporalAccessOf } from '../temporal/temporal-access.ts';
import { examineTemporal } from './examine-temporal.ts';
import { examineWorkers } from './examine-workers.ts';
import type { Finding } from './finding.ts';

/** Never rejects: what does not answer is a finding. */
export async function examine(
  config: Config<'databaseUrl' | 'redisUrl' | 'masterKey'>,
): Promise<readonly Finding[]> {
  const findings = await Promise.all([
    examinePostgres(
      config.databaseUrl,
      config.masterKey.map(({ id }) => id),
    ),
    examineRedis(config.redisUrl),
    examineTemporal(temporalAccessOf(config)),
    examineWorkers(config),
  ]);
  return findings.flat();
}
