/** A migrated control database per test file, with the smallest rows that others hang from. */
import { Pool } from 'pg';
import { newId, type ConnectionId, type SyncId, type TenantId } from '../../src/domain/ids.ts';
import { migrate } from '../../src/storage/migrate.ts';
import { createDatabase } from './stack.ts';

export interface ControlDatabase {
  readonly url: string;
  /** Logs in as the superuser; src/storage/transaction.ts takes the role. */
  readonly pool: Pool;
  readonly drop: () => Promise<void>;
}

/** A fresh, migrated control database, copied from a template. */
export async function createControlDatabase(): Promise<ControlDatabase> {
  const database = await createDatabase({
    name: 'control',
    prepare: async (url) => {
      await migrate(url);
    },
  });
  const pool = new Pool({ connectionString: database.url, max: 8 });
  pool.on('error', () => {});
  return {
    url: database.url,
    pool,
    drop: async () => {
      await pool.end();
      await database.drop();
    },
  };
}

export interface PlantedTenant {
  readonly tenantId: TenantId;
  readonly tenantName: string;
  /** Both ends of its sync. */
  readonly connectionId: ConnectionId;
  readonly syncId: SyncId;
}

/** Writes a tenant with one connection and one manual sync, as plain rows. */
export async function plantTenant(pool: Pool, name: string): Promise<PlantedTenant> {
  const planted: PlantedTenant = {
    tenantId: newId('tenant'),
    tenantName: name,
    connectionId: newId('connection'),
    syncId: newId('sync'),
  };
  const { tenantId, connectionId, syncId } = planted;
  const settings = { host: 'db', port: 5432, database: 'd', user: 'u', tls: { mode: 'disable' } };
  await pool.query('insert into penstock.tenant (id, name) values ($1, $2)', [tenantId, name]);
  await pool.query(
    `insert into penstock.connection (id, tenant_id, name, kind) values ($1, $2, 'warehouse', 'postgres')`,
    [connectionId, tenantId],
  );
  await pool.query(
    'insert into penstock.connection_version (connection_id, version, tenant_id, settings) values ($1, 1, $2, $3)',
    [connectionId, tenantId, settings],
  );
  await pool.query(
    `insert into penstock.connection_secret (connection_id, tenant_id, sealed) values ($1, $2, '\\x00')`,
    [connectionId, tenantId],
  );
  await pool.query(
    `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id)
     values ($1, $2, 'subscribers', $3, $3)`,
    [syncId, tenantId, connectionId],
  );
  await pool.query(
    'insert into penstock.sync_version (sync_id, version, tenant_id, spec) values ($1, 1, $2, $3)',
    [syncId, tenantId, {}],
  );
  return planted;
}
