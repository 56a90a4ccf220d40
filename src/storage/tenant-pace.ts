/** Whether a sync's schedule keeps to its tenant's least interval. */
import { checkFrequency } from '../domain/check-frequency.ts';
import { parseDurationMs } from '../domain/duration-spec.ts';
import type { SyncId, TenantId } from '../domain/ids.ts';
import type { Schedule } from '../domain/schedule-spec.ts';
import type { Tx } from './transaction.ts';

/** SCHEDULE_TOO_OFTEN. A schedule that the sync has already stays allowed: the limit may be younger. */
export async function checkPace(
  tx: Tx,
  tenantId: TenantId,
  { id, schedule }: { id: SyncId | null; schedule: Schedule },
): Promise<void> {
  const { rows } = await tx.query<{ minInterval: string | null; nowMs: number; isKept: boolean }>(
    `select t.min_interval as "minInterval", (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs",
       exists (select from penstock.sync s
         join penstock.sync_version v on v.sync_id = s.id and v.version = s.version
         where s.id = $2 and v.spec->'schedule' = $3::jsonb) as "isKept"
     from penstock.tenant t where t.id = $1`,
    [tenantId, id, JSON.stringify(schedule)],
  );
  const { minInterval = null, nowMs = 0, isKept = false } = rows[0] ?? {};
  if (minInterval === null || isKept) return;
  checkFrequency(schedule, { minInterval, minMs: parseDurationMs(minInterval)!, nowMs: Math.floor(nowMs) });
}
