/** Reading the slots of a sync. */
import { cadenceOf, type Cadence, type PastSlots } from '../domain/cadence.ts';
import type { SyncId } from '../domain/ids.ts';
import type { Page, PageRequest } from '../ports/scope.ts';
import type { Slot } from '../ports/sync-store.ts';
import { afterNumber, cutPage } from './pages.ts';
import { fromMicros, isoOf, microsOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

const slotOf = ({ micros: _micros, ...slot }: Slot & { micros: string }): Slot => slot;

/** Newest first. */
export async function listSlots(tx: Tx, syncId: SyncId, page: PageRequest): Promise<Page<Slot>> {
  const { rows } = await tx.query<Slot & { micros: string }>(
    `select ${isoOf('l.nominal_at')} as "nominalAt", ${isoOf('l.nominal_to')} as "nominalTo",
       l.sync_version as "syncVersion", l.run_id as "runId", coalesce(l.outcome, ${outcomeOfRun}) as outcome,
       ${microsOf('l.nominal_at')} as micros
     from penstock.slot l left join penstock.run r on r.id = l.run_id
     where l.sync_id = $1 and ($2::bigint is null or l.nominal_at < ${fromMicros('$2::bigint')})
     order by l.nominal_at desc limit $3`,
    [syncId, afterNumber(page), page.limit + 1],
  );
  const { items, next } = cutPage(rows, page, (row) => row.micros);
  return { items: items.map(slotOf), next };
}

/** A run that has not begun to work leaves its slot without an outcome; one that was dropped says why. */
const outcomeOfRun = `case
  when r.end_reason = 'unchanged' then 'skipped_unchanged'
  when r.started_at is not null then 'started'
  when r.status = 'failed' then 'failed_start'
  when r.status = 'cancelled' and r.end_reason = 'missed' then 'missed'
  when r.status = 'cancelled' and r.end_reason = 'overlap' then 'skipped_overlap'
  when r.status = 'cancelled' and r.end_reason = 'requested' then 'skipped_on_request'
  when r.status = 'queued' then null
  else 'started' end`;

/** What became of the newest due times. Each row stands for one at least, so as many rows are enough. */
export async function fetchCadence(tx: Tx, syncId: SyncId, most: number): Promise<Cadence> {
  const { rows } = await tx.query<PastSlots>(
    `select (extract(epoch from l.nominal_at) * 1000)::float8 as "fromMs",
       (extract(epoch from l.nominal_to) * 1000)::float8 as "toMs", v.spec->'schedule' as schedule,
       coalesce(l.outcome, ${outcomeOfRun}) as outcome, coalesce(r.status = 'succeeded', false) as succeeded
     from penstock.slot l
     join penstock.sync_version v on v.sync_id = l.sync_id and v.version = l.sync_version
     left join penstock.run r on r.id = l.run_id
     where l.sync_id = $1
     order by l.nominal_at desc limit $2`,
    [syncId, most],
  );
  return cadenceOf(rows, most);
}
