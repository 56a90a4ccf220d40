/** What rows must say of a queued run before it may start, as SQL over the alias `r` of penstock.run. */

/** `sync_paused`, `tenant_paused` or `all_paused` while a pause covers now; else null. The widest is named. */
export const pausedReason = `(select case when p.tenant_id is null then 'all_paused' when p.sync_id is null
    then 'tenant_paused' else 'sync_paused' end
  from penstock.pause p
  where (p.sync_id = r.sync_id or (p.sync_id is null and (p.tenant_id = r.tenant_id or p.tenant_id is null)))
    and p.from_at <= clock_timestamp() and (p.until_at is null or p.until_at > clock_timestamp())
  order by p.tenant_id is not null, p.sync_id is not null limit 1)`;

/** Statuses past `queued` of a run that is not final, as an SQL list. */
export const atWork = `('starting', 'running', 'pausing', 'paused', 'cancelling')`;

/**
 * Of an open run `o`. Not as `status = 'queued'`: while the table is new to the planner, the index of all queued runs would
 * look as good to it as that of the sync's, and a herd would be compared with itself.
 */
const isQueuedStill = `o.status not in ${atWork}`;

/**
 * Another run of the sync is past `queued` and not final, and this one may not overlap it; or one of an earlier due time
 * waits as well: due times run in their order.
 */
export const isBlocked = `(not r.overlap_allowed and (exists (
  select from penstock.run o where o.sync_id = r.sync_id and o.id <> r.id and not o.overlap_allowed
    and o.status in ${atWork})
  or r.nominal_at is not null and exists (
  select from penstock.run o where o.sync_id = r.sync_id and o.ended_at is null
    and ${isQueuedStill} and o.nominal_at < r.nominal_at)
  or r.origin = 'backfill' and exists (
  select from penstock.run o where o.sync_id = r.sync_id and o.ended_at is null and o.origin <> 'backfill'
    and ${isQueuedStill} and o.due_at <= clock_timestamp())))`;

/** A paused run that was resumed: it has given its place back, and a reason to wait is what says that it wants one. */
export const waitsToGoOn = `(r.status = 'paused' and r.waiting_reason is not null)`;

/** The run holds a place. A paused one has given its place back. */
export const holdsPlace = `r.status in ('starting', 'running', 'pausing', 'cancelling')`;

/**
 * Whose workers take the run's steps; null: the common ones. Frozen when it starts; before, it is the class of its source
 * connection `c`, or else of its destination connection `d`.
 */
export const workerClassOfRun = `case when r.status = 'queued' then coalesce(c.worker_class, d.worker_class)
  else r.worker_class end`;

/**
 * The queued run is of a worker class, and of none of these, an SQL array; null: whatever its class. Costs next to nothing
 * where no connection names a class.
 */
export const isUnserved = (served: string): string => `(exists (
    select from penstock.connection where worker_class is not null)
  and exists (
    select from penstock.sync_version v
    join penstock.connection c on c.id = r.source_connection_id
    left join penstock.connection d on d.id = v.spec->'destination'->>'connection'
    where v.sync_id = r.sync_id and v.version = r.sync_version
      and coalesce(c.worker_class, d.worker_class) is not null
      and coalesce(c.worker_class, d.worker_class) <> all(${served})))`;

/** Once per statement, so that an index can use it; a moment early, so nothing is early by it. */
export const now = '(select clock_timestamp())';
