/** What the sweeps look for in the rows: what the index or the engine has lost. */
import type { RunId, SyncId } from '../domain/ids.ts';
import { slackMsOf } from '../domain/priority.ts';
import type {
  ConnectionLimits,
  DriftedSync,
  Limits,
  PlannedDue,
  RunOffer,
  TenantLimits,
} from '../ports/schedule-index.ts';
import type { Page, PageKey, RunAtWork, SilentRun } from '../ports/schedule-store.ts';
import { connectionLimitColumns } from './connection-limits.ts';
import {
  atWork,
  holdsPlace,
  isBlocked,
  isUnserved,
  now,
  pausedReason,
  waitsToGoOn,
} from './run-conditions.ts';
import { offerColumns, offerOf, type OfferRow } from './run-offers.ts';
import { changeRuns } from './run-status.ts';
import type { Tx } from './transaction.ts';

const pageSize = 500;
const firstPage: PageKey = ['-infinity', ''];

interface Keyed {
  readonly key0: string;
  readonly key1: string;
}

function toPage<R extends Keyed, T>(rows: readonly R[], size: number, toItem: (row: R) => T): Page<T> {
  const last = rows.at(-1);
  const next = rows.length < size || last === undefined ? undefined : ([last.key0, last.key1] as const);
  return { items: rows.map(toItem), next };
}

export async function fetchOverdueSyncs(
  tx: Tx,
  lateMs: number,
  after: PageKey = firstPage,
): Promise<Page<SyncId>> {
  const size = 100;
  const { rows } = await tx.query<Keyed>(
    `select at::text as key0, id as key1
     from (select next_due_at as at, id from penstock.sync where next_due_at is not null
       union all select nominal_at, sync_id from penstock.upstream_end) due
     where at < (select clock_timestamp() - $1 * interval '1 millisecond') and (at, id) > ($2::timestamptz, $3)
     order by at, id limit $4`,
    [lateMs, ...after, size],
  );
  return toPage(rows, size, (row) => row.key1 as SyncId);
}

/** Those of a herd are all due at once, so that each page sorts what is left of it: few pages, and nothing judged in them. */
export async function fetchDueRuns(tx: Tx, after: PageKey = firstPage): Promise<Page<RunOffer>> {
  const size = 2_000;
  const { rows } = await tx.query<OfferRow & Keyed>(
    `select ${offerColumns}, r.due_at::text as key0, r.id as key1
     from penstock.run r
     where r.status = 'queued' and r.due_at <= ${now} and (r.due_at, r.id) > ($1::timestamptz, $2)
     order by r.due_at, r.id limit $3`,
    [...after, size],
  );
  return toPage(rows, size, offerOf);
}

export async function fetchWaitingRuns(
  tx: Tx,
  runIds: readonly RunId[],
  served?: readonly string[],
): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r
     where r.id = any($1) and r.status = 'queued' and r.due_at <= ${now}
       and ${pausedReason} is null and not ${isBlocked} and not ${isUnserved('$2::text[]')}`,
    [runIds, served ?? null],
  );
  return rows.map(offerOf);
}

export async function takeComeDue(tx: Tx): Promise<{ offers: readonly RunOffer[]; nextInMs: number | null }> {
  const { rows } = await tx.query<OfferRow>(
    `update penstock.run r set waiting_reason = null
     where r.id in (
       select id from penstock.run where status = 'queued' and waiting_reason = 'not_due' and due_at <= ${now}
       order by due_at limit $1 for no key update skip locked)
     returning ${offerColumns}`,
    [pageSize],
  );
  const next = await tx.query<{ inMs: number | null }>(
    `select (extract(epoch from min(due_at) - clock_timestamp()) * 1000)::float8 as "inMs"
     from penstock.run where status = 'queued' and waiting_reason = 'not_due'`,
  );
  return { offers: rows.map(offerOf), nextInMs: next.rows[0]!.inMs };
}

export async function fetchResumedRuns(tx: Tx): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r where ${waitsToGoOn}`,
  );
  return rows.map(offerOf);
}

export async function fetchUnblockedRuns(tx: Tx): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r
     where r.status = 'queued' and r.waiting_reason = 'previous_run' and not ${isBlocked} limit $1`,
    [pageSize],
  );
  return rows.map(offerOf);
}

/**
 * One run of each sync, tenants in turn by their weights, each in order of score; the caps count by the rows, because the
 * index is away. Of a source whose starts keep a distance one run at most, when it is that long since the last one.
 */
export async function fetchAdmissible(
  tx: Tx,
  cap: number,
  limit: number,
  served?: readonly string[],
): Promise<RunId[]> {
  const { rows } = await tx.query<{ id: RunId }>(
    `with held as materialized (
       select r.tenant_id, r.source_connection_id from penstock.run r where ${holdsPlace}
     ), waiting as (
       select r.id, r.tenant_id, r.sync_id, r.source_connection_id,
         greatest(r.due_at, r.queued_at) + interval '1 millisecond'
           * (case t.run_order when 'strict' then $4::float8[] else $1::float8[] end)[r.priority] as score
       from penstock.run r join penstock.tenant t on t.id = r.tenant_id
       where (r.status = 'queued' and r.due_at <= ${now} and ${pausedReason} is null and not ${isBlocked}
           and not ${isUnserved('$5::text[]')})
         or ${waitsToGoOn}
     ), first_of_sync as (
       select distinct on (sync_id) * from waiting order by sync_id, score, id
     ), of_connection as (
       select f.*, row_number() over (partition by c.id order by f.score, f.id) as nth,
         case when c.cool_until > ${now} or c.last_start_at + interval '1 minute' / c.starts_per_minute > ${now}
             then 0 else c.max_runs end
           - (select count(*) from held where held.source_connection_id = c.id) as room,
         c.starts_per_minute is not null as is_paced
       from first_of_sync f join penstock.connection c on c.id = f.source_connection_id
     ), of_tenant as (
       select f.id, f.score, t.weight, row_number() over (partition by t.id order by f.score, f.id) as nth,
         t.max_runs - (select count(*) from held where held.tenant_id = t.id) as room
       from of_connection f join penstock.tenant t on t.id = f.tenant_id
       where f.nth <= case when is_paced then least(1, f.room) else f.room end
     )
     select id from of_tenant where nth <= room order by nth::float8 / weight, score, id
     limit greatest(0, least($2, $3 - (select count(*) from held)))`,
    [slackMsOf.deadline, limit, cap, slackMsOf.strict, served ?? null],
  );
  return rows.map((row) => row.id);
}

/** A deleted sync has a queued run only where a part of a backfill was queued while it was being deleted. */
export async function dropMissedRuns(tx: Tx): Promise<RunId[]> {
  const { rows } = await tx.query<{ id: RunId; endReason: 'missed' | 'sync_deleted' }>(
    `select r.id, case when s.status = 'deleted' then 'sync_deleted' else 'missed' end as "endReason"
     from penstock.run r join penstock.sync s on s.id = r.sync_id
     where r.id = any(array(
       (select id from penstock.run where status = 'queued' and start_before < ${now} order by start_before limit $1)
       union all
       (select o.id from penstock.sync gone join penstock.run o on o.sync_id = gone.id and o.ended_at is null
        where gone.release_at is not null and o.status not in ${atWork} limit $1)))
     order by r.id
     for no key update of r skip locked`,
    [pageSize],
  );
  const dropped: RunId[] = [];
  for (const endReason of ['missed', 'sync_deleted'] as const) {
    const ids = rows.filter((row) => row.endReason === endReason).map((row) => row.id);
    if (ids.length > 0) dropped.push(...(await changeRuns(tx, ids, 'drop', { endReason })));
  }
  return dropped;
}

export async function fetchPlaceHolders(tx: Tx, but: readonly RunId[] = []): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r
     where ${holdsPlace} and not exists (select from unnest($1::text[]) known where known = r.id)`,
    [but],
  );
  return rows.map(offerOf);
}

export async function fetchPlaceless(tx: Tx, runIds: readonly RunId[]): Promise<RunId[]> {
  const { rows } = await tx.query<{ id: RunId }>(
    `select id from unnest($1::text[]) id
     where not exists (select from penstock.run r where r.id = id.id and ${holdsPlace})`,
    [runIds],
  );
  return rows.map((row) => row.id);
}

const stillSince = `r.moved_at < (select clock_timestamp() - $1 * interval '1 millisecond')`;

export async function fetchCancelling(tx: Tx, olderThanMs: number): Promise<RunAtWork[]> {
  const { rows } = await tx.query<RunAtWork>(
    `select r.id as "runId", r.workflow_id as "workflowId" from penstock.run r
     where r.status = 'cancelling' and ${stillSince} order by r.moved_at limit 1000`,
    [olderThanMs],
  );
  return rows;
}

export async function fetchSilentRuns(tx: Tx, olderThanMs: number): Promise<SilentRun[]> {
  const { rows } = await tx.query<SilentRun>(
    `select r.id as "runId", r.workflow_id as "workflowId", r.status, r.worker_class as "workerClass",
       r.look_at::text as "lookAt"
     from penstock.run r
     where r.status in ('running', 'pausing', 'paused', 'cancelling') and (${stillSince} or r.look_at <= ${now})
     order by r.moved_at limit 200`,
    [olderThanMs],
  );
  return rows;
}

export async function fetchReleases(tx: Tx): Promise<SyncId[]> {
  const { rows } = await tx.query<{ id: SyncId }>(
    `select s.id from penstock.sync s
     where s.release_at <= ${now}
       and not exists (select from penstock.run r where r.sync_id = s.id and r.ended_at is null)
     order by s.release_at limit 100`,
  );
  return rows.map((row) => row.id);
}

export async function noteReleased(tx: Tx, syncId: SyncId): Promise<void> {
  await tx.query('update penstock.sync set release_at = null where id = $1', [syncId]);
}

export async function postponeRelease(tx: Tx, syncId: SyncId, byMs: number): Promise<void> {
  await tx.query(
    `update penstock.sync set release_at = clock_timestamp() + $2 * interval '1 millisecond' where id = $1`,
    [syncId, byMs],
  );
}

export async function fetchDueEntries(tx: Tx, after: PageKey = ['', '']): Promise<Page<PlannedDue>> {
  const size = 1_000;
  const { rows } = await tx.query<PlannedDue & Keyed>(
    `select '' as key0, id as key1, id as "syncId", version,
       (extract(epoch from next_due_at) * 1000)::float8 as "nextDueAtMs",
       (extract(epoch from next_due_at - ${now}) * 1000)::float8 as "inMs"
     from penstock.sync where next_due_at is not null and id > $1 order by id limit $2`,
    [after[1], size],
  );
  return toPage(rows, size, ({ syncId, version, nextDueAtMs, inMs }) => ({
    syncId,
    version,
    nextDueAtMs,
    inMs,
  }));
}

export async function noteDrift(tx: Tx, drifted: readonly DriftedSync[]): Promise<void> {
  await tx.query(
    `insert into penstock.event (tenant_id, kind, sync_id, data)
     select s.tenant_id, 'sync.index_drift', s.id, jsonb_build_object('drift', d.drift)
     from unnest($1::text[], $2::text[]) d (sync_id, drift) join penstock.sync s on s.id = d.sync_id`,
    [drifted.map(({ syncId }) => syncId), drifted.map(({ drift }) => drift)],
  );
}

export async function fetchLimits(tx: Tx): Promise<Limits> {
  const tenants = await tx.query<TenantLimits>(
    `select id as "tenantId", version, weight, max_runs as "maxRuns" from penstock.tenant
     where version > 1 or weight <> 1 or max_runs <> 10`,
  );
  const connections = await tx.query<ConnectionLimits>(
    `select ${connectionLimitColumns} from penstock.connection c
     where limits_version > 1 or max_runs <> 4 or starts_per_minute is not null`,
  );
  return { tenants: tenants.rows, connections: connections.rows };
}
