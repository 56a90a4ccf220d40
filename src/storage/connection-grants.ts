/** Grants: which tenants may write through an operator's connection, to which tables, as which role. */
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionId, TenantId } from '../domain/ids.ts';
import type { Connection, ConnectionGrant } from '../ports/connection-store.ts';
import type { Scope } from '../ports/scope.ts';
import { fetchConnection, listUsers, lockConnection } from './connection-rows.ts';
import { insertAudit } from './in-scope.ts';
import type { Tx } from './transaction.ts';

function checkIsOperators({ tenantId, name }: Connection): void {
  if (tenantId !== null)
    throw new PenstockError('CONFLICT', `connection ${name} is a tenant’s: only the operator’s are granted`);
}

export async function upsertGrant(
  tx: Tx,
  scope: Scope,
  ref: string,
  grant: ConnectionGrant,
): Promise<ConnectionGrant> {
  const connection = await lockConnection(tx, scope, ref);
  checkIsOperators(connection);
  const outside = await listSyncsOutside(tx, connection.id, grant);
  if (outside.length > 0)
    throw new PenstockError(
      'CONFLICT',
      `${outside.join(', ')} of that tenant write to other tables of ${connection.name} than these: change or delete them first`,
      { pointer: '/tablePattern' },
    );
  await tx.query(
    `insert into penstock.connection_grant (connection_id, tenant_id, table_pattern, database_role)
     values ($1, $2, $3, $4)
     on conflict (connection_id, tenant_id)
       do update set table_pattern = excluded.table_pattern, database_role = excluded.database_role`,
    [connection.id, grant.tenantId, grant.tablePattern, grant.databaseRole],
  );
  await insertAudit(tx, scope, {
    tenantId: grant.tenantId,
    action: 'connection.grant',
    objectId: connection.id,
    data: { tablePattern: grant.tablePattern },
  });
  return grant;
}

/** Names of the tenant's syncs, at most five, that write to tables which the pattern does not cover, or have runs that do. */
async function listSyncsOutside(
  tx: Tx,
  connectionId: ConnectionId,
  { tenantId, tablePattern }: ConnectionGrant,
): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `select distinct s.name
     from penstock.sync s
     join penstock.sync_version v on v.sync_id = s.id
     cross join lateral (select v.spec->'destination'->>'connection' as connection, v.spec->'destination'->>'table' as name) d
     where s.tenant_id = $2 and d.connection = $1
       and case when d.name like '%.%' then d.name else 'public.' || d.name end not like $3
       and ((s.status <> 'deleted' and v.version = s.version) or exists (select from penstock.run r
         where r.sync_id = s.id and r.sync_version = v.version and r.ended_at is null))
     order by s.name limit 5`,
    [connectionId, tenantId, tablePattern],
  );
  return rows.map((row) => row.name);
}

export async function deleteGrant(tx: Tx, scope: Scope, ref: string, tenantId: TenantId): Promise<void> {
  const { id, name } = await lockConnection(tx, scope, ref);
  const users = await listUsers(tx, id, tenantId);
  if (users.length > 0)
    throw new PenstockError(
      'CONFLICT',
      `connection ${name} is used by ${users.join(', ')} of that tenant: delete them first`,
    );
  await tx.query('delete from penstock.connection_grant where connection_id = $1 and tenant_id = $2', [
    id,
    tenantId,
  ]);
  await insertAudit(tx, scope, { tenantId, action: 'connection.revoke_grant', objectId: id });
}

export async function listGrants(tx: Tx, scope: Scope, ref: string): Promise<ConnectionGrant[]> {
  const { id } = await fetchConnection(tx, scope, ref);
  const { rows } = await tx.query<ConnectionGrant>(
    `select tenant_id as "tenantId", table_pattern as "tablePattern", database_role as "databaseRole"
     from penstock.connection_grant where connection_id = $1 order by tenant_id`,
    [id],
  );
  return rows;
}

/**
 * Refuses a table that the tenant's grant does not cover; a tenant's own connection covers all. A name without a
 * schema counts as in `public`. FORBIDDEN at the pointer.
 */
export async function checkTableIsGranted(
  tx: Tx,
  connection: Connection,
  tenantId: TenantId,
  table: string,
): Promise<void> {
  if (connection.tenantId !== null) return;
  const qualified = table.includes('.') ? table : `public.${table}`;
  const { rows } = await tx.query<{ covered: boolean }>(
    `select $3 like table_pattern as covered from penstock.connection_grant
     where connection_id = $1 and tenant_id = $2`,
    [connection.id, tenantId, qualified],
  );
  if (rows[0]?.covered) return;
  throw new PenstockError(
    'FORBIDDEN',
    rows[0]
      ? `table ${qualified} is outside of what connection ${connection.name} is granted for`
      : `connection ${connection.name} is not granted to this tenant`,
    { pointer: '/destination/table' },
  );
}
