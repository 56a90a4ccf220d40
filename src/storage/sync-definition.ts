/**
 * Making a sync and giving it its next spec, each in one transaction: lock, settle under what was, change, settle
 * under what is. They return what the index must hear after the commit.
 */
import { PenstockError } from '../domain/errors.ts';
import { newId, type SyncId, type TenantId } from '../domain/ids.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Scope } from '../ports/scope.ts';
import { checkTableIsGranted } from './connection-grants.ts';
import { findConnection } from './connection-rows.ts';
import { checkVersion } from './database-errors.ts';
import { insertAudit, insertEvent } from './in-scope.ts';
import { settle } from './settle.ts';
import { newsOf, type SyncChange } from './sync-change.ts';
import { fetchSync, lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';

/** The spec with its connections by id, checked to be there, the tenant's to use, and granted for the table. */
async function resolveConnections(tx: Tx, tenantId: TenantId, spec: SyncSpec): Promise<SyncSpec> {
  const scope: Scope = { tenantId, apiKeyId: null };
  const [source, destination] = [
    await findConnection(tx, scope, spec.source.connection),
    await findConnection(tx, scope, spec.destination.connection),
  ];
  const refuse = (end: string, ref: string): PenstockError =>
    new PenstockError('BAD_REQUEST', `there is no connection ${ref} of this tenant`, {
      pointer: `/${end}/connection`,
    });
  if (!source || (source.tenantId !== null && source.tenantId !== tenantId))
    throw refuse('source', spec.source.connection);
  if (!destination || (destination.tenantId !== null && destination.tenantId !== tenantId))
    throw refuse('destination', spec.destination.connection);
  if (source.tenantId === null)
    throw new PenstockError(
      'FORBIDDEN',
      `connection ${source.name} is the operator’s: a tenant’s query may not read through it`,
      { pointer: '/source/connection' },
    );
  await checkTableIsGranted(tx, destination, tenantId, spec.destination.table);
  return {
    ...spec,
    source: { ...spec.source, connection: source.id },
    destination: { ...spec.destination, connection: destination.id },
  };
}

const insertVersion = (
  tx: Tx,
  row: { id: SyncId; version: number; tenantId: TenantId; spec: SyncSpec },
): Promise<unknown> =>
  tx.query('insert into penstock.sync_version (sync_id, version, tenant_id, spec) values ($1, $2, $3, $4)', [
    row.id,
    row.version,
    row.tenantId,
    JSON.stringify(row.spec),
  ]);

/** Inserts a sync and computes its next times. */
export async function insertSync(
  tx: Tx,
  scope: Scope & { tenantId: TenantId },
  given: SyncSpec,
): Promise<SyncChange> {
  const { tenantId } = scope;
  const id = newId('sync');
  const spec = await resolveConnections(tx, tenantId, given);
  await tx.query(
    `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id)
     values ($1, $2, $3, $4, $5)`,
    [id, tenantId, spec.name, spec.source.connection, spec.destination.connection],
  );
  // The foreign keys hold the connections from here on; whoever deleted one before has committed.
  await resolveConnections(tx, tenantId, spec);
  await insertVersion(tx, { id, version: 1, tenantId, spec });
  await insertAudit(tx, scope, { tenantId, action: 'sync.create', objectId: id });
  await insertEvent(tx, { tenantId, kind: 'sync.created', syncId: id });
  const settled = await settle(tx, [id]);
  return { sync: await fetchSync(tx, scope, id), news: newsOf(settled) };
}

/** Gives a sync its next spec. Due times that have passed are settled under the old one. */
export async function replaceSync(
  tx: Tx,
  scope: Scope,
  change: { ref: string; spec: SyncSpec; ifVersion: number | undefined },
): Promise<SyncChange> {
  const before = await lockSync(tx, scope, change.ref);
  const { id, tenantId } = before;
  checkVersion(`sync ${before.spec.name}`, before.version, change.ifVersion);
  const spec = await resolveConnections(tx, tenantId, change.spec);
  const same = await tx.query<{ same: boolean }>('select $1::jsonb = $2::jsonb as same', [
    JSON.stringify(spec),
    JSON.stringify(before.spec),
  ]);
  if (same.rows[0]?.same && before.status === 'active') return { sync: before, news: {} };
  const settledBefore = await settle(tx, [id]);
  const version = before.version + 1;
  await insertVersion(tx, { id, version, tenantId, spec });
  await tx.query(
    `update penstock.sync
     set version = $2, name = $3, source_connection_id = $4, destination_connection_id = $5, status = 'active',
       broken_reason = null, next_nominal_at = null, next_due_at = null, updated_at = clock_timestamp()
     where id = $1`,
    [id, version, spec.name, spec.source.connection, spec.destination.connection],
  );
  await resolveConnections(tx, tenantId, spec);
  await insertAudit(tx, scope, { tenantId, action: 'sync.replace', objectId: id, data: { version } });
  await insertEvent(tx, { tenantId, kind: 'sync.replaced', syncId: id, data: { version } });
  const settledAfter = await settle(tx, [id]);
  return { sync: await fetchSync(tx, scope, id), news: newsOf(settledBefore, settledAfter) };
}
