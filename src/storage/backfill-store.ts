/** Backfills in the control database (src/ports/backfill-store.ts). */
import { randomUUID } from 'node:crypto';
import { checkBackfillable, countParts, type BackfillRange } from '../domain/backfill.ts';
import { PenstockError } from '../domain/errors.ts';
import { newId, type SyncId } from '../domain/ids.ts';
import type { Backfill, BackfillStore } from '../ports/backfill-store.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import { endBackfill, queuePart } from './backfill-parts.ts';
import { endRuns, tellCancelled } from './end-runs.ts';
import { inScope, insertAudit } from './in-scope.ts';
import { createTellIndex, type IndexNews } from './index-news.ts';
import { afterId, cutPage } from './pages.ts';
import { fetchOffer } from './run-offers.ts';
import { isoOf } from './sql-text.ts';
import type { StoreDeps } from './store-deps.ts';
import { lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';

/** The backfills over a pool. */
export function createBackfillStore({ pool, announcer, starter, logger }: StoreDeps): BackfillStore {
  const tellIndex = createTellIndex(announcer, logger);
  return {
    start: async (scope, syncRef, request) => {
      const { backfill, news } = await inScope(pool, scope, (tx) =>
        insertBackfill(tx, scope, syncRef, request),
      );
      await tellIndex(news);
      return backfill;
    },
    fetch: (scope, id) => inScope(pool, scope, (tx) => fetchBackfill(tx, id)),
    list: (scope, filter, page) => inScope(pool, scope, (tx) => listBackfills(tx, filter, page)),
    cancel: async (scope, id) => {
      // First it is ended, so that no part follows the one in hand; which that is stays as it is from then on.
      await inScope(pool, scope, async (tx) => {
        const { tenantId } = await fetchBackfill(tx, id);
        if (await endBackfill(tx, id, 'cancelled'))
          await insertAudit(tx, scope, { tenantId, action: 'backfill.cancel', objectId: id });
      });
      const { backfill, released, cancelled } = await inScope(pool, scope, async (tx) => ({
        ...(await endRuns(tx, { column: 'backfill_id', id }, 'requested')),
        backfill: await fetchBackfill(tx, id),
      }));
      await tellIndex({ released });
      await tellCancelled({ starter, logger }, cancelled);
      return backfill;
    },
  };
}

const columns = `b.id, b.tenant_id as "tenantId", b.sync_id as "syncId", s.name as "syncName",
  b.window_from as "from", b.window_to as "to", b.every, b.status, b.parts,
  b.part - (r.status <> 'succeeded')::int as done,
  (b.rows_before + case r.status when 'succeeded' then (r.receipt->>'read')::bigint else 0 end)::float8 as rows,
  json_build_object('part', b.part, 'from', r.window_low, 'to', r.window_high, 'runId', r.id, 'status', r.status)
    as current,
  ${isoOf('b.created_at')} as "createdAt", ${isoOf('b.ended_at')} as "endedAt"
  from penstock.backfill b
  join penstock.sync s on s.id = b.sync_id
  join penstock.run r on r.backfill_id = b.id and r.backfill_part = b.part`;

async function fetchBackfill(tx: Tx, id: string): Promise<Backfill> {
  const { rows } = await tx.query<Backfill>(`select ${columns} where b.id = $1`, [id]);
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no backfill ${id}`);
  return rows[0];
}

async function listBackfills(
  tx: Tx,
  { syncId }: { syncId?: SyncId | undefined },
  page: PageRequest,
): Promise<Page<Backfill>> {
  const { rows } = await tx.query<Backfill>(
    `select ${columns} where b.id > $1 and ($2::text is null or b.sync_id = $2) order by b.id limit $3`,
    [afterId('backfill', page), syncId ?? null, page.limit + 1],
  );
  return cutPage(rows, page, (row) => row.id);
}

/** The sync is held meanwhile, so that of two requests at the same moment one is refused, or finds the other's. */
async function insertBackfill(
  tx: Tx,
  scope: Scope,
  syncRef: string,
  { requestKey = randomUUID(), ...range }: BackfillRange & { requestKey: string | undefined },
): Promise<{ backfill: Backfill; news: IndexNews }> {
  const { id: syncId, tenantId, spec } = await lockSync(tx, scope, syncRef);
  checkBackfillable(spec);
  const parts = countParts(range);
  const open = await tx.query<{ id: string; isSame: boolean }>(
    `select id, request_key = $2 as "isSame" from penstock.backfill
     where sync_id = $1 and (request_key = $2 or status = 'running') order by request_key = $2 desc`,
    [syncId, requestKey],
  );
  const found = open.rows[0];
  if (found?.isSame) return { backfill: await fetchBackfill(tx, found.id), news: {} };
  if (found)
    throw new PenstockError(
      'CONFLICT',
      `backfill ${found.id} of sync ${spec.name} is running: wait for it, or cancel it`,
      { meta: { backfillId: found.id } },
    );
  const id = newId('backfill');
  await tx.query(
    `insert into penstock.backfill (id, tenant_id, sync_id, request_key, window_from, window_to, every, parts)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [id, tenantId, syncId, requestKey, range.from, range.to, range.every, parts],
  );
  const runId = await queuePart(tx, { ...range, id, tenantId, syncId, part: 1 });
  await insertAudit(tx, scope, { tenantId, action: 'sync.backfill', objectId: syncId, data: { id, parts } });
  return {
    backfill: await fetchBackfill(tx, id),
    news: { offered: await fetchOffer(tx, runId) },
  };
}
