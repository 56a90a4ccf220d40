/** Short work on the control database for the command line: its schema, and the first key into its API. */
import { Pool } from 'pg';
import type { ApiKeyRole } from '../domain/access.ts';
import { createApiKeyStore } from '../storage/api-key-store.ts';
import { migrate } from '../storage/migrate.ts';

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
