/** What a sync comes after (`schedule: {after}`): found in its tenant, and never, over any number of others, itself. */
import { PenstockError } from '../domain/errors.ts';
import type { SyncId, TenantId } from '../domain/ids.ts';
import type { Schedule } from '../domain/schedule-spec.ts';
import type { Tx } from './transaction.ts';

const pointer = '/schedule/after/sync';
/** An end of a run makes all that come after it due in its own transaction, and each change walks the whole chain. */
const maxChain = 100;
const maxFollowers = 100;

/** One at a time a tenant's syncs are put after others, or deleted: two changes could close a circle that neither sees. */
const lockUpstreams = (tx: Tx, tenantId: TenantId): Promise<unknown> =>
  tx.query(`select pg_advisory_xact_lock(hashtextextended('penstock.after ' || $1, 0))`, [tenantId]);

/**
 * The schedule with the sync that it names by id; held so until the transaction ends.
 * @param id of the sync that has the schedule; null: it is new
 * @throws PenstockError BAD_REQUEST when there is no such sync, SCHEDULE_INVALID when it comes after this one, or too many
 *   come after each other or after it; a sync that stays where it is is not counted anew
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
  if (!(await isAfter(tx, id, upstream))) {
    await refuseLongWay(tx, id, upstream);
    await refuseCrowd(tx, ref, upstream);
  }
  return { after: { sync: upstream, when } };
}

async function isAfter(tx: Tx, id: SyncId | null, upstream: SyncId): Promise<boolean> {
  const { rowCount } = await tx.query(`select from penstock.sync where id = $1 and after_sync_id = $2`, [
    id,
    upstream,
  ]);
  return rowCount !== 0;
}

/** Walks up no farther than a chain may be long: a circle that is longer is refused as a chain. */
async function refuseLongWay(tx: Tx, id: SyncId | null, upstream: SyncId): Promise<void> {
  const { rows } = await tx.query<{ id: SyncId }>(
    `with recursive chain (id, after_sync_id, depth) as (
       select id, after_sync_id, 1 from penstock.sync where id = $1
       union all
       select s.id, s.after_sync_id, c.depth + 1 from chain c
       join penstock.sync s on s.id = c.after_sync_id where c.id is distinct from $2 and c.depth < $3
     )
     select id from chain order by depth`,
    [upstream, id, maxChain],
  );
  const way = rows.map((row) => row.id);
  if (way.at(-1) === id) throw await circleError(tx, way);
  if (way.length >= maxChain)
    throw new PenstockError(
      'SCHEDULE_INVALID',
      `More than ${maxChain} syncs would come after each other; write one that is nearer to the first of them, or another schedule.`,
      { pointer },
    );
}

async function circleError(tx: Tx, way: readonly SyncId[]): Promise<PenstockError> {
  const { rows } = await tx.query<{ name: string }>(
    `select name from penstock.sync where id = any($1) order by array_position($1, id)`,
    [way],
  );
  const names = rows.map((row) => row.name);
  const path = [names.at(-1)!, ...names].join(' after ');
  return new PenstockError(
    'SCHEDULE_INVALID',
    `The sync would come after itself: ${path}; write another sync, or give one of these another schedule.`,
    { pointer, meta: { path } },
  );
}

async function refuseCrowd(tx: Tx, ref: string, upstream: SyncId): Promise<void> {
  const { rowCount } = await tx.query(`select from penstock.sync where after_sync_id = $1 limit $2`, [
    upstream,
    maxFollowers,
  ]);
  if (rowCount! < maxFollowers) return;
  throw new PenstockError(
    'SCHEDULE_INVALID',
    `${maxFollowers} syncs come after sync ${ref} already, and no more may; let this one come after one of those, or give it times of its own.`,
    { pointer },
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
