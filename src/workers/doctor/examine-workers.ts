/** The workers: whether somebody takes up runs, and the steps of every class that a connection names. */
import { Pool } from 'pg';
import type { RoleConfig } from '../../config/load-config.ts';
import { fetchWorkerClasses } from '../../storage/installation-state.ts';
import { connectClient } from '../temporal/connect-client.ts';
import { createRunStarter } from '../temporal/run-starter.ts';
import { temporalAccessOf } from '../temporal/temporal-access.ts';
import { findingsOf, type Finding } from './finding.ts';

const { ok, warning } = findingsOf('workers');

/** Nothing where the control database or Temporal does not answer: who looks at these says so. */
export async function examineWorkers(config: RoleConfig): Promise<Finding[]> {
  const pool = new Pool({
    connectionString: config.databaseUrl,
    max: 1,
    connectionTimeoutMillis: 5_000,
    query_timeout: 5_000,
  });
  pool.on('error', () => {});
  const client = connectClient(temporalAccessOf(config));
  try {
    const workerClasses = await fetchWorkerClasses(pool);
    const starter = createRunStarter({ client, taskQueue: config.temporalTaskQueue });
    return await Promise.all(
      [undefined, ...workerClasses].map(async (workerClass) =>
        findingOf(workerClass, await starter.hasWorker(workerClass)),
      ),
    );
  } catch {
    return [];
  } finally {
    await Promise.allSettled([pool.end(), client.connection.close()]);
  }
}

function findingOf(workerClass: string | undefined, isThere: boolean): Finding {
  const name = workerClass === undefined ? 'common' : `class ${workerClass}`;
  if (isThere) return ok(name, 'asked for work within the last minute and a half');
  const flag = workerClass === undefined ? '' : ` --worker-class ${workerClass}`;
  return warning(name, {
    detail: 'none asks for work, and its runs wait',
    cure: `penstock start --roles worker${flag}${workerClass === undefined ? '' : ', or take the class from its connections'}`,
  });
}
