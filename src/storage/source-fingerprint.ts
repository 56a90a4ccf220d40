/** Whether a run has anything to do: what the source was like when it began, against the run before it. */
import type { RunId, SyncId } from '../domain/ids.ts';
import type { Tx } from './transaction.ts';

/**
 * Notes what the source is like as the run begins, and tells whether the run may be skipped: the last run of its sync that
 * did any work has succeeded, under the same version, from a source that was the same. Only the first answer for a run can
 * be yes: one that has begun to work goes on.
 */
export async function noteFingerprint(tx: Tx, runId: RunId, fingerprint: string): Promise<boolean> {
  const { rows } = await tx.query<{ unchanged: boolean }>(
    `with noted as (
       update penstock.run set source_fingerprint = $2
       where id = $1 and status = 'running' and source_fingerprint is null
       returning id, sync_id, sync_version
     )
     select coalesce((
       select o.status = 'succeeded' and o.source_fingerprint = $2 and o.sync_version = n.sync_version
       from penstock.run o
       where o.sync_id = n.sync_id and o.id <> n.id and o.origin <> 'backfill'
         and o.started_at is not null and o.end_reason is distinct from 'unchanged'
       order by o.queued_at desc limit 1), false) as unchanged
     from noted n`,
    [runId, fingerprint],
  );
  return rows[0]?.unchanged ?? false;
}

/** The next run works whatever the source is like: its target is not what the last run left. */
export async function forgetFingerprints(tx: Tx, syncId: SyncId): Promise<void> {
  await tx.query(
    'update penstock.run set source_fingerprint = null where sync_id = $1 and source_fingerprint is not null',
    [syncId],
  );
}
