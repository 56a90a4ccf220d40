/** What rows must say of a queued run before it may start, as SQL over the alias `r` of penstock.run. */

/** Once per statement, so that an index can use it; a moment early, so nothing is early by it. */
export const now = '(select clock_timestamp())';

/** The pause `p` is not over: found by what an index can use, and judged again where a statement has waited for a row. */
export const isNotOver = `p.ends_at > ${now} and p.ends_at > clock_timestamp()`;

/** A pause `p` of the run's sync, of its tenant or of all covers now. */
export const coversNow = `p.paused_id in (r.sync_id, r.tenant_id, '') and ${isNotOver} and p.from_at <= clock_timestamp()`;

/** `sync_paused`, `tenant_paused` or `all_paused` while a pause covers now; else null. The widest is named. */
export const pausedReason = `(select case when p.tenant_id is null then 'all_paused' when p.sync_id is null
    then 'tenant_paused' else 'sync_paused' end
  from penstock.pause p
  where ${coversNow}
  order by p.tenant_id is not null, p.sync_id is not null limit 1)`;

/** Statuses past `queued` of a run that is not final, as an SQL list. */
export const atWork = `('starting', 'running', 'pausing', 'paused', 'cancelling')`;

/**
 * Another open run `o` of the sync that is queued, or that is at work. No word of the status is one of an index: before a
 * herd's first run has ended the planner knows of none, so that an index of all queued runs, or of all at work, looks as good
 * to it as that of the sync's, and the herd would be compared with itself.
 */
const isQueuedStill = `o.sync_id = r.sync_id and o.ended_at is null and o.status not in ${atWork}`;
const isAtWork = `o.sync_id = r.sync_id and o.ended_at is null and o.status <> 'queued'`;

/**
 * Another run of the sync is past `queued` and not final, and this one may not overlap it; or one of an earlier due time
 * waits as well: due times run in their order.
 */
export const isBlocked = `(not r.overlap_allowed and (exists (
  select from penstock.run o where ${isAtWork} and o.id <> r.id and not o.overlap_allowed)
  or r.nominal_at is not null and exists (
  select from penstock.run o where ${isQueuedStill} and o.nominal_at < r.nominal_at)
  or r.origin = 'backfill' and exists (
  select from penstock.run o where ${isQueuedStill} and o.origin <> 'backfill' and o.due_at <= clock_timestamp())))`;

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
 * The queued run, of the connections `c` and `d`, is of a worker class, and of none of these, an SQL array; null: whatever its
 * class. That it has one is asked apart: no class at all differs from each of an empty array.
 */
export const isOfNone = (served: string): string => `(coalesce(c.worker_class, d.worker_class) is not null
  and coalesce(c.worker_class, d.worker_class) <> all(${served}))`;

/** The same where its connections are not at hand. Costs next to nothing where no connection names a class. */
export const isUnserved = (served: string): string => `(exists (
    select from penstock.connection where worker_class is not null)
  and exists (
    select from penstock.sync_version v
    join penstock.connection c on c.id = r.source_connection_id
    left join penstock.connection d on d.id = v.spec->'destination'->>'connection'
    where v.sync_id = r.sync_id and v.version = r.sync_version and ${isOfNone(served)}))`;
