/** Connections with their opened passwords, for whoever connects to them. The engine's role reads them. */
import type { Pool } from 'pg';
import type { GrantedTables } from '../domain/connection-grant.ts';
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionId, SyncId, TenantId } from '../domain/ids.ts';
import type { ConnectionAccess, ConnectionSettings } from '../ports/connection.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { openPassword } from './connection-secret.ts';
import { asEngine } from './transaction.ts';

interface AccessRow {
  id: string;
  name: string;
  kind: string;
  ownerId: string | null;
  settings: ConnectionSettings;
  sealed: string | null;
  databaseRole: string | null;
  granted: GrantedTables | null;
}

const withoutGrant = 'null as "databaseRole", null as granted';
const withGrant = `g.database_role as "databaseRole",
  case when g.tenant_id is not null then jsonb_build_object('tablePattern', g.table_pattern, 'scope', g.scope) end as granted`;

const selection = (from: string, grant: string): string =>
  `select c.id, c.name, c.kind, c.tenant_id as "ownerId", v.settings, encode(x.sealed, 'hex') as sealed,
     ${grant}
   from ${from}
   join penstock.connection_version v on v.connection_id = c.id and v.version = c.version
   left join penstock.connection_secret x on x.connection_id = c.id`;

/** The connection as it is now. NOT_FOUND; CONFIG when the password does not open. */
export const fetchConnectionAccess = (
  pool: Pool,
  secretBox: SecretBox,
  connectionId: ConnectionId,
): Promise<ConnectionAccess> =>
  fetchAccess(pool, secretBox, {
    sql: `${selection('penstock.connection c', withoutGrant)} where c.id = $1 and c.deleted_at is null`,
    id: connectionId,
    what: 'connection',
  });

/** The connection that the sync writes through, with the role of its grant. NOT_FOUND; CONFIG. */
export const fetchDestinationAccess = (
  pool: Pool,
  secretBox: SecretBox,
  syncId: SyncId,
): Promise<ConnectionAccess> =>
  fetchAccess(pool, secretBox, {
    sql: `${selection(
      `penstock.sync s
       join penstock.connection c on c.id = s.destination_connection_id
       left join penstock.connection_grant g on g.connection_id = c.id and g.tenant_id = s.tenant_id`,
      withGrant,
    )} where s.id = $1`,
    id: syncId,
    what: 'sync',
  });

/**
 * Every connection that any version of the sync writes through, as it is now, without roles: for its bookkeeping. Those
 * that were deleted are not among them. CONFIG when a password does not open.
 */
export async function fetchFormerDestinations(
  pool: Pool,
  secretBox: SecretBox,
  syncId: SyncId,
): Promise<ConnectionAccess[]> {
  const used = `select spec->'destination'->>'connection' from penstock.sync_version where sync_id = $1`;
  const sql = `${selection('penstock.connection c', withoutGrant)} where c.id in (${used}) and c.deleted_at is null`;
  const { rows } = await asEngine(pool, (tx) => tx.query<AccessRow>(sql, [syncId]));
  return rows.map((row) => accessOf(secretBox, row));
}

/** The connection as it is now, with the role of the tenant's grant if it is the operator's. NOT_FOUND; CONFIG. */
export const fetchGrantedAccess = (
  pool: Pool,
  secretBox: SecretBox,
  { connectionId, tenantId }: { connectionId: ConnectionId; tenantId: TenantId },
): Promise<ConnectionAccess> =>
  fetchAccess(pool, secretBox, {
    sql: `${selection(
      `penstock.connection c
       left join penstock.connection_grant g on g.connection_id = c.id and g.tenant_id = $2`,
      withGrant,
    )} where c.id = $1 and c.deleted_at is null`,
    id: connectionId,
    more: [tenantId],
    what: 'connection',
  });

async function fetchAccess(
  pool: Pool,
  secretBox: SecretBox,
  { sql, id, more = [], what }: { sql: string; id: string; more?: readonly string[]; what: string },
): Promise<ConnectionAccess> {
  const { rows } = await asEngine(pool, (tx) => tx.query<AccessRow>(sql, [id, ...more]));
  const row = rows[0];
  if (!row) throw new PenstockError('NOT_FOUND', `there is no ${what} ${id}`);
  return accessOf(secretBox, row);
}

const accessOf = (secretBox: SecretBox, row: AccessRow): ConnectionAccess => ({
  ...row.settings,
  connectionId: row.id,
  kind: row.kind,
  password: openPassword(secretBox, row),
  ...(row.databaseRole === null ? {} : { databaseRole: row.databaseRole }),
  ...(row.granted === null ? {} : { granted: row.granted }),
});
