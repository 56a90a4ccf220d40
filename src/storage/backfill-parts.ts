/**
 * The runs of backfills: one at a time, so that its sync's due times come between two parts, each queued by the transaction
 * that makes the one before it succeed. Whatever crashes, the queued row is there.
 */
import { windowOfPart, type BackfillRange } from '../domain/backfill.ts';
import { runIdOf, workflowIdOf, type RunId, type SyncId, type TenantId } from '../domain/ids.ts';
import { lastPriority } from '../domain/priority.ts';
import type { Tx } from './transaction.ts';

/** What queueing a part needs of its backfill. */
interface PartToQueue extends BackfillRange {
  readonly id: string;
  readonly tenantId: TenantId;
  readonly syncId: SyncId;
  readonly part: number;
}

interface OpenBackfill extends PartToQueue {
  readonly parts: number;
  /** Of the run of its part. */
  readonly runStatus: string;
}

/** Queues the run of a part. It waits behind what its sync has open, and is found when that has ended. */
export async function queuePart(tx: Tx, { part, ...backfill }: PartToQueue): Promise<RunId> {
  const { id, tenantId, syncId } = backfill;
  const runId = runIdOf(syncId, 'backfill', `${id}/${part}`);
  const names = await tx.query<{ tenant: string; sync: string }>(
    `select t.name as tenant, s.name as sync
     from penstock.sync s join penstock.tenant t on t.id = s.tenant_id where s.id = $1`,
    [syncId],
  );
  const { tenant, sync } = names.rows[0]!;
  const { low, high } = windowOfPart(backfill, part);
  await tx.query(
    `with instant as materialized (select clock_timestamp() as at), numbered as (
       update penstock.backfill b set part = $5, rows_before = rows_before + coalesce((
         select (r.receipt->>'read')::bigint from penstock.run r
         where r.backfill_id = b.id and r.backfill_part = b.part), 0)
       where id = $4
     ), made as (
       insert into penstock.run (id, tenant_id, sync_id, sync_version, source_connection_id, origin, request_key, priority, due_at, queued_at,
         workflow_id, waiting_reason, backfill_id, backfill_part, window_low, window_high)
       select $1, $2, s.id, s.version, s.source_connection_id, 'backfill', $4 || '/' || $5, $6, at, at, $7, 'previous_run', $4, $5, $8, $9
       from instant, penstock.sync s where s.id = $3
       on conflict (id) do nothing
       returning id, tenant_id, sync_id
     )
     insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
     select tenant_id, 'run.queued', sync_id, id, jsonb_build_object('backfill', $4::text, 'part', $5::int) from made`,
    [runId, tenantId, syncId, id, part, lastPriority, workflowIdOf(tenant, sync, runId), low, high],
  );
  return runId;
}

/** Goes on with the backfills whose part is final with one of these runs, or ends them. */
export async function followParts(tx: Tx, runIds: readonly RunId[]): Promise<void> {
  if (runIds.length === 0) return;
  const { rows } = await tx.query<OpenBackfill>(
    `select b.id, b.tenant_id as "tenantId", b.sync_id as "syncId", b.window_from as "from", b.window_to as "to",
       b.every, b.part, b.parts, r.status as "runStatus"
     from penstock.run r
     join penstock.backfill b on b.id = r.backfill_id and b.part = r.backfill_part and b.status = 'running'
     where r.id = any($1)
     order by b.id for no key update of b`,
    [runIds],
  );
  for (const { runStatus, parts, ...backfill } of rows) {
    const { id, part } = backfill;
    if (runStatus === 'succeeded' && part < parts) await queuePart(tx, { ...backfill, part: part + 1 });
    else await endBackfill(tx, id, runStatus);
  }
}

/** Whether it was running until now. */
export async function endBackfill(tx: Tx, id: string, status: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `with ended as (
       update penstock.backfill set status = $2, ended_at = clock_timestamp()
       where id = $1 and status = 'running' returning tenant_id, sync_id, id, part, parts
     )
     insert into penstock.event (tenant_id, kind, sync_id, data)
     select tenant_id, 'backfill.' || $2::text, sync_id, jsonb_build_object('backfill', id, 'part', part, 'parts', parts)
     from ended`,
    [id, status],
  );
  return rowCount === 1;
}
