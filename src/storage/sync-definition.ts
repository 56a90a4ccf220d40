/**
 * Making a sync and giving it its next spec, each in one transaction: lock, settle under what was, change, settle
 * under what is. They return what the index must hear after the commit.
 */
import { servesAs } from '../domain/connection-kinds.ts';
import { PenstockError } from '../domain/errors.ts';
import { isOurs } from '../domain/describe-error.ts';
import { newId, type ConnectionId, type SyncId, type TenantId } from '../domain/ids.ts';
import type { Connection } from '../ports/connection-store.ts';
import type { CheckedSync } from '../ports/sync-store.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { RunOffer } from '../ports/schedule-index.ts';
import type { Scope } from '../ports/scope.ts';
import { checkIsGranted } from './connection-grants.ts';
import { findConnection } from './connection-rows.ts';
import { checkVersion } from './database-errors.ts';
import { insertAudit, insertEvent } from './in-scope.ts';
import { fetchWaitingOffers } from './run-offers.ts';
import { settle } from './settle.ts';
import { newsOf, type SyncChange } from './sync-change.ts';
import { fetchSync, lockSync } from './sync-rows.ts';
import { checkPace } from './tenant-pace.ts';
import type { Tx } from './transaction.ts';
import { resolveUpstream } from './upstream.ts';

/** The spec with its connections by id, checked to be there, the tenant's to use, and granted for the table. */
async function resolveConnections(tx: Tx, tenantId: TenantId, spec: SyncSpec): Promise<SyncSpec> {
  const source = await resolveSource(tx, tenantId, spec);
  const destination = await resolveDestination(tx, tenantId, spec);
  return {
    ...spec,
    source: { ...spec.source, connection: source },
    destination: { ...spec.destination, connection: destination },
  };
}

async function resolveSource(tx: Tx, tenantId: TenantId, { source }: SyncSpec): Promise<ConnectionId> {
  const found = await resolveEnd(tx, tenantId, { end: 'source', ref: source.connection });
  if (found.tenantId !== null) return found.id;
  throw new PenstockError(
    'FORBIDDEN',
    `connection ${found.name} is the operator’s: a tenant’s query may not read through it`,
    { pointer: '/source/connection' },
  );
}

async function resolveDestination(tx: Tx, tenantId: TenantId, spec: SyncSpec): Promise<ConnectionId> {
  const { destination } = spec;
  const found = await resolveEnd(tx, tenantId, { end: 'destination', ref: destination.connection });
  await checkIsGranted(tx, found, tenantId, spec);
  return found.id;
}

async function resolveEnd(
  tx: Tx,
  tenantId: TenantId,
  { end, ref }: { end: 'source' | 'destination'; ref: string },
): Promise<Connection> {
  const pointer = `/${end}/connection`;
  const found = await findConnection(tx, { tenantId, apiKeyId: null }, ref);
  if (!found || (found.tenantId !== null && found.tenantId !== tenantId))
    throw new PenstockError('BAD_REQUEST', `there is no connection ${ref} of this tenant`, { pointer });
  if (servesAs(found.kind, end === 'source' ? 'asSource' : 'asDestination')) return found;
  throw new PenstockError('BAD_REQUEST', `connection ${found.name} is of kind ${found.kind}: no ${end}`, {
    pointer,
  });
}

/** What making or changing a sync would be refused for, all of it, and its connections as far as they may be used. */
export async function checkSync(
  tx: Tx,
  tenantId: TenantId,
  { spec, id }: { spec: SyncSpec; id: SyncId | null },
): Promise<CheckedSync> {
  const refusals: PenstockError[] = [];
  const orRefused = <T>(work: Promise<T>): Promise<T | null> =>
    work.catch((error: unknown) => {
      if (!isOurs(error)) throw error;
      refusals.push(error);
      return null;
    });
  const source = await orRefused(resolveSource(tx, tenantId, spec));
  const destination = await orRefused(resolveDestination(tx, tenantId, spec));
  await orRefused(resolveUpstream(tx, tenantId, { id, schedule: spec.schedule }));
  await orRefused(checkPace(tx, tenantId, { id, schedule: spec.schedule }));
  const named = await tx.query(
    `select from penstock.sync
      where tenant_id = $1 and name = $2 and status <> 'deleted' and id is distinct from $3`,
    [tenantId, spec.name, id],
  );
  if (named.rowCount)
    refusals.push(
      new PenstockError('CONFLICT', `there is a sync ${spec.name} already`, { pointer: '/name' }),
    );
  return { source, destination, refusals };
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

/** What of the spec is a column of the sync's row, too. */
const columnsOf = ({ name, source, destination, schedule }: SyncSpec): (string | null)[] => {
  const upstream = 'after' in schedule ? schedule.after : null;
  return [name, source.connection, destination.connection, upstream?.sync ?? null, upstream?.when ?? null];
};

/** Inserts a sync and computes its next times. */
export async function insertSync(
  tx: Tx,
  scope: Scope & { tenantId: TenantId },
  given: SyncSpec,
): Promise<SyncChange> {
  const { tenantId } = scope;
  const id = newId('sync');
  const schedule = await resolveUpstream(tx, tenantId, { id: null, schedule: given.schedule });
  const spec = { ...(await resolveConnections(tx, tenantId, given)), schedule };
  await checkPace(tx, tenantId, { id: null, schedule });
  await tx.query(
    `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id, after_sync_id,
       after_when)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [id, tenantId, ...columnsOf(spec)],
  );
  // The foreign keys hold the connections from here on; whoever deleted one before has committed.
  await resolveConnections(tx, tenantId, spec);
  await insertVersion(tx, { id, version: 1, tenantId, spec });
  await insertAudit(tx, scope, { tenantId, action: 'sync.create', objectId: id });
  await insertEvent(tx, { tenantId, kind: 'sync.created', syncId: id });
  const settled = await settle(tx, [id]);
  return { sync: await fetchSync(tx, scope, id), news: newsOf(settled) };
}

const isSame = async (tx: Tx, one: unknown, other: unknown): Promise<boolean> => {
  const { rows } = await tx.query<{ same: boolean }>('select $1::jsonb = $2::jsonb as same', [
    JSON.stringify(one),
    JSON.stringify(other),
  ]);
  return rows[0]!.same;
};

/** Another schedule counts from now; what was decided about slots of the old one, and its runs, no longer count. */
async function forgetTimes(tx: Tx, id: SyncId): Promise<void> {
  await tx.query(
    `update penstock.sync
     set next_nominal_at = null, next_due_at = null, skipped_nominal_at = null, moved_nominal_at = null,
       moved_due_at = null, scheduled_runs = 0
     where id = $1`,
    [id],
  );
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
  const schedule = await resolveUpstream(tx, tenantId, { id, schedule: change.spec.schedule });
  const spec = { ...(await resolveConnections(tx, tenantId, change.spec)), schedule };
  if ((await isSame(tx, spec, before.spec)) && before.status === 'active') return { sync: before, news: {} };
  const keepsSchedule = await isSame(tx, spec.schedule, before.spec.schedule);
  await checkPace(tx, tenantId, { id, schedule: spec.schedule });
  const settledBefore = await settle(tx, [id]);
  const version = before.version + 1;
  await insertVersion(tx, { id, version, tenantId, spec });
  await tx.query(
    `update penstock.sync
     set version = $2, name = $3, source_connection_id = $4, destination_connection_id = $5, after_sync_id = $6,
       after_when = $7, status = 'active', broken_reason = null, updated_at = clock_timestamp()
     where id = $1`,
    [id, version, ...columnsOf(spec)],
  );
  if (!keepsSchedule) await forgetTimes(tx, id);
  await resolveConnections(tx, tenantId, spec);
  await insertAudit(tx, scope, { tenantId, action: 'sync.replace', objectId: id, data: { version } });
  await insertEvent(tx, { tenantId, kind: 'sync.replaced', syncId: id, data: { version } });
  const settledAfter = await settle(tx, [id]);
  const news = newsOf(settledBefore, settledAfter);
  const moved = await moveQueuedRuns(tx, id, { from: before.spec.priority, to: spec.priority });
  return {
    sync: await fetchSync(tx, scope, id),
    news: { ...news, offered: [...(news.offered ?? []), ...moved] },
  };
}

/** Runs that wait with the sync's priority get its new one; those that were given their own keep it. */
async function moveQueuedRuns(
  tx: Tx,
  syncId: SyncId,
  { from, to }: { from: number; to: number },
): Promise<RunOffer[]> {
  if (from === to) return [];
  const { rowCount } = await tx.query(
    `update penstock.run set priority = $3 where sync_id = $1 and status = 'queued' and priority = $2`,
    [syncId, from, to],
  );
  return rowCount === 0 ? [] : fetchWaitingOffers(tx, { syncId });
}
