/** What a sync comes after (`schedule: {after}`): found in its tenant, and never, over any number of others, itself. */
import { PenstockError } from '../domain/errors.ts';
import type { SyncId, TenantId } from '../domain/ids.ts';
import type { Schedule } from '../domain/schedule-spec.ts';
import type { Tx } from './transaction.ts';

const pointer = '/schedule/after/sync';

/** One at a time a tenant's syncs are put after others, or deleted: two changes could close a circle that neither sees. */
const lockUpstreams = (tx: Tx, tenantId: TenantId): Promise<unknown> =>
  tx.query(`select pg_advisory_xact_lock(hashtextextended('penstock.after ' || $1, 0))`, [tenantId]);

/**
 * The schedule with the sync that it names by id; held so until the transaction ends.
 * @param id of the sync that has the schedule; null: it is new
 * @throws PenstockError BAD_REQUEST when there is no such sync, SCHEDULE_INVALID when it comes after this one
 */
export async function resolveUpstream(
  tx: Tx,
  tenantId: TenantId,
  { id, schedule }: { id: SyncId | null; schedule: Schedule },
): Promise<Schedule> {
  if (!('after' in schedule)) return schedule;
  const { sync: ref, when } = schedule.after;
  await lockUpstreams(tx, tenantId);
  const { rows } = await tx.query<{ id: SyncId }>(
    `select id from penstock.sync where tenant_id = $1 and status <> 'deleted' and (id = $2 or name = $2)
     order by id = $2 desc limit 1`,
    [tenantId, ref],
  );
  const upstream = rows[0]?.id;
  if (upstream === undefined)
    throw new PenstockError('BAD_REQUEST', `there is no sync ${ref} of this tenant`, { pointer });
  if (id !== null) await refuseCircle(tx, id, upstream);
  return { after: { sync: upstream, when } };
}

async function refuseCircle(tx: Tx, id: SyncId, upstream: SyncId): Promise<void> {
  const { rows } = await tx.query<{ path: string[] }>(
    `with recursive chain (id, after_sync_id, path) as (
       select id, after_sync_id, array[name] from penstock.sync where id = $1
       union all
       select s.id, s.after_sync_id, c.path || s.name from chain c
       join penstock.sync s on s.id = c.after_sync_id where c.id <> $2
     )
     select path from chain where id = $2`,
    [upstream, id],
  );
  const found = rows[0];
  if (!found) return;
  const path = [found.path.at(-1)!, ...found.path];
  throw new PenstockError(
    'SCHEDULE_INVALID',
    `The sync would come after itself: ${path.join(' after ')}; write another sync, or give one of these another schedule.`,
    { pointer, meta: { path: path.join(' after ') } },
  );
}

/** CONFLICT while others come after the sync: they would never be due again. */
export async function refuseWhileFollowed(
  tx: Tx,
  { id, tenantId, name }: { id: SyncId; tenantId: TenantId; name: string },
): Promise<void> {
  await lockUpstreams(tx, tenantId);
  const { rows } = await tx.query<{ name: string }>(
    `select name from penstock.sync where after_sync_id = $1 order by name limit 10`,
    [id],
  );
  if (rows.length === 0) return;
  const followers = rows.map((row) => row.name);
  throw new PenstockError(
    'CONFLICT',
    `${followers.join(', ')} ${followers.length === 1 ? 'comes' : 'come'} after sync ${name}, and would never be due again: change or delete ${followers.length === 1 ? 'it' : 'them'} first`,
    { meta: { followers: followers.join(', ') } },
  );
}
