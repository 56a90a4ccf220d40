/** Queued runs as the index takes them. */
import type { RunId, SyncId, TenantId } from '../domain/ids.ts';
import { readyScore } from '../domain/priority.ts';
import type { RunOffer } from '../ports/schedule-index.ts';
import type { Tx } from './transaction.ts';

interface OfferRow {
  runId: RunId;
  tenantId: TenantId;
  syncId: SyncId;
  dueMs: number;
  queuedAtMs: number;
  priority: number;
}

const selection = `select id as "runId", tenant_id as "tenantId", sync_id as "syncId", priority,
    floor(extract(epoch from due_at) * 1000)::float8 as "dueMs",
    floor(extract(epoch from queued_at) * 1000)::float8 as "queuedAtMs"
  from penstock.run`;

const offerOf = (row: OfferRow): RunOffer => ({
  runId: row.runId,
  tenantId: row.tenantId,
  syncId: row.syncId,
  score: readyScore(row),
});

/** The sync's queued runs. */
export async function fetchQueuedOffers(tx: Tx, syncId: SyncId): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(`${selection} where sync_id = $1 and status = 'queued'`, [
    syncId,
  ]);
  return rows.map(offerOf);
}

/** One run that wants a place, whatever its status. */
export async function fetchOffer(tx: Tx, runId: RunId): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(`${selection} where id = $1`, [runId]);
  return rows.map(offerOf);
}
