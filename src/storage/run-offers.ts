/** Queued runs as the index takes them. */
import type { ConnectionId, RunId, SyncId, TenantId } from '../domain/ids.ts';
import { readyScore, slackMsOf, type RunOrder } from '../domain/priority.ts';
import type { RunOffer } from '../ports/schedule-index.ts';
import { isBlocked, now, pausedReason } from './run-conditions.ts';
import type { Tx } from './transaction.ts';

/** What an offer is made of, as `offerColumns` selects it. */
export interface OfferRow {
  readonly runId: RunId;
  readonly tenantId: TenantId;
  readonly syncId: SyncId;
  readonly connectionId: ConnectionId;
  readonly dueMs: number;
  readonly queuedAtMs: number;
  readonly priority: number;
  /** Its tenant's. */
  readonly order: RunOrder;
}

/** Columns of an OfferRow, of the run `r`. */
export const offerColumns = `r.id as "runId", r.tenant_id as "tenantId", r.sync_id as "syncId",
  r.source_connection_id as "connectionId", r.priority,
  (select t.run_order from penstock.tenant t where t.id = r.tenant_id) as "order",
  floor(extract(epoch from r.due_at) * 1000)::float8 as "dueMs",
  floor(extract(epoch from r.queued_at) * 1000)::float8 as "queuedAtMs"`;

export const offerOf = ({ order, runId, tenantId, syncId, connectionId, ...ready }: OfferRow): RunOffer => ({
  runId,
  tenantId,
  syncId,
  connectionId,
  score: readyScore(ready, slackMsOf[order]),
});

/** Longer lists are left to the sweep, which offers again what has another score. */
const mostOffers = 10_000;

/** The waiting runs of a tenant, or of a sync, with the scores that they have now: offering them again moves them. */
export async function fetchWaitingOffers(
  tx: Tx,
  of: { tenantId: TenantId } | { syncId: SyncId },
): Promise<RunOffer[]> {
  const [column, id] = 'syncId' in of ? ['sync_id', of.syncId] : ['tenant_id', of.tenantId];
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r
     where r.${column} = $1 and r.status = 'queued' and r.due_at <= ${now} and ${pausedReason} is null
       and not ${isBlocked}
     order by r.due_at limit ${mostOffers}`,
    [id],
  );
  return rows.map(offerOf);
}

/** The sync's queued runs. */
export async function fetchQueuedOffers(tx: Tx, syncId: SyncId): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r where r.sync_id = $1 and r.status = 'queued'`,
    [syncId],
  );
  return rows.map(offerOf);
}

/** Queued runs that waited for a pause of their tenant, or of all, to end. Those beyond the limit are found by the sweep. */
export async function fetchResumedOffers(tx: Tx, tenantId: TenantId | null): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(
    `select ${offerColumns} from penstock.run r
     where r.status = 'queued' and r.waiting_reason in ('tenant_paused', 'all_paused')
       and ($1::text is null or r.tenant_id = $1) and r.due_at <= ${now} and ${pausedReason} is null
     order by r.due_at limit 1000`,
    [tenantId],
  );
  return rows.map(offerOf);
}

/** One run that wants a place, whatever its status. */
export async function fetchOffer(tx: Tx, runId: RunId): Promise<RunOffer[]> {
  const { rows } = await tx.query<OfferRow>(`select ${offerColumns} from penstock.run r where r.id = $1`, [
    runId,
  ]);
  return rows.map(offerOf);
}
