/** Short work for the command line: the control database's schema, the first key into its API, Temporal's namespace. */
import type { Connection } from '@temporalio/client';
import { Pool } from 'pg';
import type { ApiKeyRole } from '../domain/access.ts';
import { createApiKeyStore } from '../storage/api-key-store.ts';
import { migrate } from '../storage/migrate.ts';
import { hasCode } from '../domain/errors.ts';
import { temporalAccessOf, type TemporalConfig } from './temporal/temporal-access.ts';

/** Brings the control database to this version's schema; resolves to the names of the migrations that it took. */
export const migrateControl = (databaseUrl: string): Promise<string[]> => migrate(databaseUrl);

/** Makes an operator's API key. `key` is never to be had again. */
export async function createOperatorKey(
  databaseUrl: string,
  { name, role }: { name: string; role: ApiKeyRole },
): Promise<{ id: string; key: string }> {
  const pool = new Pool({ connectionString: databaseUrl, max: 1, connectionTimeoutMillis: 5_000 });
  try {
    const created = await createApiKeyStore(pool).create(
      { tenantId: null, apiKeyId: null },
      { name, role, expiresAt: null },
    );
    return { id: created.id, key: created.key };
  } finally {
    await pool.end();
  }
}

/**
 * Prepares the Temporal namespace for runs: its search attributes. Workers do the same when they start, so a server that does
 * not answer is no error.
 * @throws PenstockError CONFIG when one of them is there with another type
 */
export async function prepareTemporal(config: TemporalConfig): Promise<'prepared' | 'unreachable'> {
  const { connectClient } = await import('./temporal/connect-client.ts');
  const { registerSearchAttributes } = await import('./temporal/search-attributes.ts');
  const access = temporalAccessOf(config);
  const { connection } = connectClient(access);
  try {
    await connection.withDeadline(Date.now() + 3_000, () =>
      registerSearchAttributes(connection as Connection, access.namespace),
    );
    return 'prepared';
  } catch (error) {
    if (hasCode(error, 'CONFIG')) throw error;
    return 'unreachable';
  } finally {
    await connection.close();
  }
}
