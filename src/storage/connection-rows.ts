/** Reading connections. A tenant finds its own and those that the operator granted to it, its own first. */
import { PenstockError } from '../domain/errors.ts';
import type { ConnectionId, TenantId } from '../domain/ids.ts';
import type { ConnectionSettings } from '../ports/connection.ts';
import type { Connection } from '../ports/connection-store.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import { afterId, cutPage } from './pages.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

interface ConnectionRow {
  id: ConnectionId;
  tenantId: TenantId | null;
  name: string;
  kind: string;
  version: number;
  maxRuns: number;
  startsPerMinute: number | null;
  rowsPerSecond: number | null;
  bytesPerSecond: number | null;
  coolUntil: string | null;
  workerClass: string | null;
  createdAt: string;
  updatedAt: string;
  settings: ConnectionSettings;
}

const selection = `c.id, c.tenant_id as "tenantId", c.name, c.kind, c.version,
  c.max_runs as "maxRuns", c.starts_per_minute as "startsPerMinute",
  c.rows_per_second as "rowsPerSecond", c.bytes_per_second::float8 as "bytesPerSecond",
  case when c.cool_until > clock_timestamp() then ${isoOf('c.cool_until')} end as "coolUntil",
  c.worker_class as "workerClass",
  ${isoOf('c.created_at')} as "createdAt", ${isoOf('c.updated_at')} as "updatedAt", v.settings
  from penstock.connection c
  join penstock.connection_version v on v.connection_id = c.id and v.version = c.version
  where c.deleted_at is null`;

const connectionOf = ({ settings, ...row }: ConnectionRow): Connection => ({ ...settings, ...row });

/**
 * By id, or by name among the scope's own and the operator's; undefined when there is none to see. The operator may name
 * a tenant's as well: BAD_REQUEST when several tenants have one of that name, and the operator none.
 */
export async function findConnection(tx: Tx, scope: Scope, ref: string): Promise<Connection | undefined> {
  const { rows } = await tx.query<ConnectionRow>(
    `select ${selection} and (c.id = $1 or c.name = $1 and ($2::text is null or c.tenant_id = $2 or c.tenant_id is null))
     order by (c.tenant_id is null) = ($2::text is not null) limit 2`,
    [ref, scope.tenantId],
  );
  const [first, second] = rows;
  if (first?.tenantId && second?.tenantId)
    throw new PenstockError(
      'BAD_REQUEST',
      `several tenants have a connection ${ref}: name one, or use the id`,
      {
        pointer: '/query/tenantId',
      },
    );
  return rows[0] && connectionOf(rows[0]);
}

/** As `findConnection`; NOT_FOUND when there is none. */
export async function fetchConnection(tx: Tx, scope: Scope, ref: string): Promise<Connection> {
  const connection = await findConnection(tx, scope, ref);
  if (!connection) throw new PenstockError('NOT_FOUND', `there is no connection ${ref}`);
  return connection;
}

/**
 * Fetches a connection in order to change it, and holds it: nobody gives it a sync, a version or a grant meanwhile.
 * FORBIDDEN when it is the operator's and the scope a tenant's.
 */
export async function lockConnection(tx: Tx, scope: Scope, ref: string): Promise<Connection> {
  const { id, tenantId, name } = await fetchConnection(tx, scope, ref);
  if (tenantId === null && scope.tenantId !== null)
    throw new PenstockError('FORBIDDEN', `connection ${name} is the operator’s: a tenant may use it only`);
  await tx.query('select from penstock.connection where id = $1 for update', [id]);
  return fetchConnection(tx, scope, id);
}

/** In the order of creation. */
export async function listConnections(tx: Tx, page: PageRequest): Promise<Page<Connection>> {
  const { rows } = await tx.query<ConnectionRow>(`select ${selection} and c.id > $1 order by c.id limit $2`, [
    afterId('connection', page),
    page.limit + 1,
  ]);
  return cutPage(rows.map(connectionOf), page, (row) => row.id);
}

/** Names of the syncs that use the connection, or still have runs on it; at most five, of one tenant when it is given. */
export async function listUsers(
  tx: Tx,
  connectionId: ConnectionId,
  tenantId: TenantId | null,
): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `select s.name from penstock.sync s
     where $1 in (s.source_connection_id, s.destination_connection_id)
       and ($2::text is null or s.tenant_id = $2)
       and (s.status <> 'deleted'
         or exists (select from penstock.run r where r.sync_id = s.id and r.ended_at is null))
     order by s.name limit 5`,
    [connectionId, tenantId],
  );
  return rows.map((row) => row.name);
}

/** The worker classes that connections name, each once. */
export async function listWorkerClasses(tx: Tx): Promise<string[]> {
  const { rows } = await tx.query<{ name: string }>(
    `select distinct worker_class as name from penstock.connection
     where worker_class is not null and deleted_at is null order by name`,
  );
  return rows.map((row) => row.name);
}
