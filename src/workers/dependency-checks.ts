/** What a role stands on, asked whether it answers (src/ports/dependency-check.ts). */
import type { Client } from '@temporalio/client';
import type { Pool } from 'pg';
import { compareSearchAttributes } from './temporal/search-attributes.ts';
import { PenstockError } from '../domain/errors.ts';
import type { DependencyCheck } from '../ports/dependency-check.ts';

interface CheckedParts {
  pool: Pool;
  /** Rejects with what is wrong with Redis. */
  checkIndex: () => Promise<void>;
  temporal: Client;
}

/** Control database, Redis and Temporal. */
export const createDependencyChecks = ({ pool, checkIndex, temporal }: CheckedParts): DependencyCheck[] => [
  {
    name: 'postgres',
    check: (timeoutMs) =>
      within(timeoutMs, async () => {
        const { rows } = await pool.query<{ version: string }>(
          `select current_setting('server_version') as version`,
        );
        return `PostgreSQL ${rows[0]?.version ?? '?'}`;
      }),
  },
  {
    name: 'redis',
    check: (timeoutMs) =>
      within(timeoutMs, async () => {
        await checkIndex();
        return 'answers, and evicts nothing';
      }),
  },
  {
    name: 'temporal',
    check: (timeoutMs) =>
      within(timeoutMs, () =>
        // Later than ours, which says it in its own words.
        temporal.connection.withDeadline(Date.now() + timeoutMs + 1_000, () => checkTemporal(temporal)),
      ),
  },
];

/** That runs can be started there: a namespace that is, with our search attributes. */
async function checkTemporal({ connection, options: { namespace } }: Client): Promise<string> {
  try {
    await connection.workflowService.describeNamespace({ namespace });
  } catch (cause) {
    if (!isNotFound(cause)) throw cause;
    throw new PenstockError('UNAVAILABLE', `namespace ${namespace} does not exist`, { cause });
  }
  const { missing, wrong } = await compareSearchAttributes(connection, namespace);
  if (missing.length > 0)
    throw new PenstockError(
      'UNAVAILABLE',
      `namespace ${namespace} lacks search attributes, which workers add: ${missing.join(', ')}`,
    );
  if (wrong.length > 0)
    throw new PenstockError(
      'UNAVAILABLE',
      `namespace ${namespace} has search attributes of another type: ${wrong.join(', ')}`,
    );
  return `namespace ${namespace}`;
}

/** gRPC's NOT_FOUND. */
const isNotFound = (error: unknown): boolean => (error as { code?: unknown } | undefined)?.code === 5;

/** Errors of ours keep their message; drivers' may hold addresses and logins, and this is shown to anybody. */
async function within(timeoutMs: number, check: () => Promise<string>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PenstockError('UNAVAILABLE', 'no answer in time')), timeoutMs);
  });
  try {
    return await Promise.race([check(), late]);
  } catch (cause) {
    if (cause instanceof PenstockError) throw cause;
    throw new PenstockError('UNAVAILABLE', 'does not answer', { cause });
  } finally {
    clearTimeout(timer);
  }
}
