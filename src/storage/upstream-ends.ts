/**
 * Syncs that come after others (`schedule: {after}`): the transaction that ends a run writes down the due times of the
 * syncs that come after it; settle alone turns them into slots, as it does with all due times.
 */
import type { RunId, SyncId } from '../domain/ids.ts';
import type { DueEntry } from '../ports/schedule-index.ts';
import type { Tx } from './transaction.ts';

/**
 * Notes that runs have ended, for the syncs that come after theirs. Not the ends of runs that have done nothing because
 * nothing was new, and not those of a backfill, which would be one for each of its parts.
 */
export async function recordUpstreamEnds(tx: Tx, runIds: readonly RunId[]): Promise<void> {
  await tx.query(
    `insert into penstock.upstream_end (sync_id, nominal_at, tenant_id, run_id)
     select s.id, date_trunc('milliseconds', r.ended_at), s.tenant_id, r.id
     from penstock.run r
     join penstock.sync s on s.after_sync_id = r.sync_id and s.status = 'active'
     where r.id = any($1) and (r.status = 'succeeded' or s.after_when = 'finished')
       and r.origin <> 'backfill' and r.end_reason is distinct from 'unchanged'
     on conflict (sync_id, nominal_at) do nothing`,
    [runIds],
  );
}

/** The syncs that are due because this run has ended, as the index is to hear it. */
export async function fetchDueAfter(tx: Tx, runId: RunId): Promise<DueEntry[]> {
  const { rows } = await tx.query<DueEntry>(
    `select s.id as "syncId", s.version, (extract(epoch from e.nominal_at) * 1000)::float8 as "nextDueAtMs"
     from penstock.upstream_end e join penstock.sync s on s.id = e.sync_id where e.run_id = $1`,
    [runId],
  );
  return rows;
}

/** Forgets ends that settle has judged. */
export async function deleteUpstreamEnds(
  tx: Tx,
  ends: readonly { syncId: SyncId; nominalMs: number }[],
): Promise<void> {
  if (ends.length === 0) return;
  await tx.query(
    `delete from penstock.upstream_end e
     using unnest($1::text[], $2::float8[]) judged (sync_id, ms)
     where e.sync_id = judged.sync_id
       and e.nominal_at = timestamptz 'epoch' + judged.ms * interval '1 millisecond'`,
    [ends.map((end) => end.syncId), ends.map((end) => end.nominalMs)],
  );
}
