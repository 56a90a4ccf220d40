/** Grants: which tenants may write through an operator's connection, to which tables and rows of them, as which role. */
import { findUngranted, type GrantedTables } from '../domain/connection-grant.ts';
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionId, TenantId } from '../domain/ids.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
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
      `${outside.join(', ')} of that tenant write more of ${connection.name} than this: change or delete them first`,
      { pointer: '/tablePattern' },
    );
  await tx.query(
    `insert into penstock.connection_grant (connection_id, tenant_id, table_pattern, scope, database_role)
     values ($1, $2, $3, $4, $5)
     on conflict (connection_id, tenant_id) do update
       set table_pattern = excluded.table_pattern, scope = excluded.scope, database_role = excluded.database_role`,
    [connection.id, grant.tenantId, grant.tablePattern, JSON.stringify(grant.scope), grant.databaseRole],
  );
  await insertAudit(tx, scope, {
    tenantId: grant.tenantId,
    action: 'connection.grant',
    objectId: connection.id,
    data: { tablePattern: grant.tablePattern, scope: grant.scope, databaseRole: grant.databaseRole },
  });
  return grant;
}

/** Names of the tenant's syncs, at most five, that the grant would not cover, or that have runs that it would not. */
async function listSyncsOutside(
  tx: Tx,
  connectionId: ConnectionId,
  grant: ConnectionGrant,
): Promise<string[]> {
  const { rows } = await tx.query<{ name: string; spec: SyncSpec }>(
    `select s.name, v.spec
     from penstock.sync s
     join penstock.sync_version v on v.sync_id = s.id
     where s.tenant_id = $2 and v.spec->'destination'->>'connection' = $1
       and ((s.status <> 'deleted' and v.version = s.version) or exists (select from penstock.run r
         where r.sync_id = s.id and r.sync_version = v.version and r.ended_at is null))
     order by s.name`,
    [connectionId, grant.tenantId],
  );
  const outside = rows.filter(({ spec }) => findUngranted(grant, spec) !== null).map(({ name }) => name);
  return [...new Set(outside)].slice(0, 5);
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
    `select tenant_id as "tenantId", table_pattern as "tablePattern", scope, database_role as "databaseRole"
     from penstock.connection_grant where connection_id = $1 order by tenant_id`,
    [id],
  );
  return rows;
}

/** Refuses what the tenant's grant does not cover; a tenant's own connection covers all. FORBIDDEN at the pointer. */
export async function checkIsGranted(
  tx: Tx,
  connection: Connection,
  tenantId: TenantId,
  spec: SyncSpec,
): Promise<void> {
  if (connection.tenantId !== null) return;
  const { rows } = await tx.query<GrantedTables>(
    `select table_pattern as "tablePattern", scope from penstock.connection_grant
     where connection_id = $1 and tenant_id = $2`,
    [connection.id, tenantId],
  );
  const refusal = rows[0]
    ? findUngranted(rows[0], spec)
    : new PenstockError('FORBIDDEN', `connection ${connection.name} is not granted to this tenant`, {
        pointer: '/destination/connection',
      });
  if (refusal) throw refusal;
}
