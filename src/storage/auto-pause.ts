/** Pauses a sync whose runs keep failing (`autoPause`), in the transaction in which one of them fails. */
import { newId, type RunId } from '../domain/ids.ts';
import { isNotOver, now } from './run-conditions.ts';
import type { Tx } from './transaction.ts';

/**
 * Opens a pause for each sync of these failed runs of which as many have failed as its spec allows: since it last succeeded,
 * and since its last pause ended. One that is paused already is left alone.
 *
 * The sync is not locked for it, so that no lock is taken in another order than settle's: what is being settled at this
 * moment counts as before the pause.
 */
export async function pauseFailing(tx: Tx, runIds: readonly RunId[]): Promise<void> {
  await tx.query(
    `with failing as (
       select distinct on (s.id) s.id as sync_id, s.tenant_id, r.id as run_id, r.error_code, f.failures, given.pause_id
       from unnest($1::text[], $2::text[]) given (run_id, pause_id)
       join penstock.run r on r.id = given.run_id and r.origin <> 'backfill'
       join penstock.sync s on s.id = r.sync_id and s.status <> 'deleted'
       join penstock.sync_version v on v.sync_id = s.id and v.version = s.version and v.spec->'autoPause' is not null
       cross join lateral (
         select count(*) as failures from penstock.run o
         where o.sync_id = s.id and o.status = 'failed' and o.origin <> 'backfill'
           and o.queued_at > coalesce((select max(queued_at) from penstock.run
             where sync_id = s.id and status = 'succeeded' and origin <> 'backfill'), '-infinity')
           and o.ended_at > coalesce((select max(ends_at) from penstock.pause
             where paused_id = s.id and ends_at <= ${now}), '-infinity')
       ) f
       where f.failures >= (v.spec->'autoPause'->>'after')::int
         and not exists (select from penstock.pause p
           where p.paused_id = s.id and ${isNotOver})
     ), paused as (
       insert into penstock.pause (id, tenant_id, sync_id, reason)
       select pause_id, tenant_id, sync_id,
         format('%s runs failed, the last with %s', failures, coalesce(error_code, 'no code'))
       from failing
       returning sync_id, tenant_id, reason
     ), audited as (
       insert into penstock.audit (tenant_id, action, object_id, data)
       select tenant_id, 'sync.pause', sync_id, jsonb_build_object('reason', reason, 'until', null) from paused
     )
     insert into penstock.event (tenant_id, kind, sync_id, run_id, data)
     select f.tenant_id, 'sync.paused', f.sync_id, f.run_id,
       jsonb_build_object('reason', p.reason, 'until', null, 'failures', f.failures)
     from failing f join paused p using (sync_id)`,
    [runIds, runIds.map(() => newId('pause'))],
  );
}
