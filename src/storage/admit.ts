/**
 * Admit: the rows' word on runs that hold a place. A run becomes `starting` only if it is queued, due by this
 * database's clock, in time, not paused, not blocked by another run of its sync, and its source does not cool down; a
 * paused one that was resumed becomes `running` again.
 */
import type { RunId, SyncId } from '../domain/ids.ts';
import type { WaitingReason } from '../domain/run-states.ts';
import type { RunToStart } from '../ports/run-starter.ts';
import type { StartVerdict } from '../ports/schedule-store.ts';
import { isBlocked, isOfNone, pausedReason, waitsToGoOn, workerClassOfRun } from './run-conditions.ts';
import { changeRuns } from './run-status.ts';
import type { Tx } from './transaction.ts';

type Judged = 'start' | 'go_on' | 'starting' | 'at_work' | 'gone' | 'missed' | 'sync_deleted' | WaitingReason;

interface JudgedRun {
  readonly run: RunToStart;
  readonly judged: Judged;
  readonly overlapAllowed: boolean;
  /** The starts of its source are to keep a distance. */
  readonly isPaced: boolean;
  /** Until it is no longer so, where a time says when. */
  readonly waitMs: number | null;
}

/** The members of a RunToStart, of the run `r`. */
const runToStart = `r.id as "runId", r.workflow_id as "workflowId", r.tenant_id as "tenantId", t.name as "tenantName",
  r.sync_id as "syncId", s.name as "syncName", c.name as "sourceName", v.spec->>'mode' as mode, r.origin, r.priority,
  ${workerClassOfRun} as "workerClass", (extract(epoch from r.due_at) * 1000)::float8 as "dueAtMs"`;

const runWithItsSync = `penstock.run r
  join penstock.tenant t on t.id = r.tenant_id
  join penstock.sync s on s.id = r.sync_id
  join penstock.connection c on c.id = r.source_connection_id
  join penstock.sync_version v on v.sync_id = r.sync_id and v.version = r.sync_version
  left join penstock.connection d on d.id = v.spec->'destination'->>'connection'`;

/**
 * Judges the runs whose rows nobody holds, starts those that may, drops those that are too late, notes why others wait.
 * @param served the worker classes that have workers: queued runs of others wait; without it no run does
 */
export async function startRuns(
  tx: Tx,
  runIds: readonly RunId[],
  served?: readonly string[],
): Promise<StartVerdict[]> {
  const locked = await lockRuns(tx, runIds);
  const judged = firstOfEachSync(await judgeRuns(tx, locked.ids, served));
  const idsOf = (verdict: Judged): RunId[] =>
    judged.filter((r) => r.judged === verdict).map(({ run }) => run.runId);
  await changeRuns(tx, idsOf('start'), 'start');
  await noteStarts(tx, judged);
  await freezeClasses(tx, judged);
  await changeRuns(tx, idsOf('go_on'), 'resume');
  for (const endReason of ['missed', 'sync_deleted'] as const)
    if (idsOf(endReason).length > 0) await changeRuns(tx, idsOf(endReason), 'drop', { endReason });
  const verdicts = judged.map(toVerdict);
  await noteWaiting(tx, verdicts);
  const known = new Set(locked.ids);
  const others = runIds.filter((runId) => !known.has(runId));
  const isThere = new Set(locked.held);
  return [
    ...verdicts,
    ...others.map((runId) => ({
      runId,
      verdict: isThere.has(runId) ? ('locked' as const) : ('gone' as const),
    })),
  ];
}

/**
 * Runs that have been `starting` since before then: whoever started them may have died first. Their turn comes again
 * when they have been so for as long once more, so that those whose start fails hold up no others.
 */
export async function claimStuckStarts(tx: Tx, olderThanMs: number, limit: number): Promise<RunToStart[]> {
  const { rows } = await tx.query<RunToStart>(
    `with claimed as (
       update penstock.run set moved_at = clock_timestamp()
       where id in (
         select id from penstock.run
         where status = 'starting' and moved_at < (select clock_timestamp() - $1 * interval '1 millisecond')
         order by moved_at limit $2 for no key update skip locked)
       returning id
     )
     select ${runToStart} from ${runWithItsSync} where r.id in (select id from claimed)`,
    [olderThanMs, limit],
  );
  return rows;
}

async function lockRuns(tx: Tx, runIds: readonly RunId[]): Promise<{ ids: RunId[]; held: RunId[] }> {
  const { rows } = await tx.query<{ id: RunId }>(
    'select id from penstock.run where id = any($1) order by id for no key update skip locked',
    [runIds],
  );
  const ids = rows.map((row) => row.id);
  if (ids.length === runIds.length) return { ids, held: [] };
  const all = await tx.query<{ id: RunId }>('select id from penstock.run where id = any($1)', [runIds]);
  return { ids, held: all.rows.map((row) => row.id) };
}

/** In a statement after the lock, so that it sees what was committed before it. */
async function judgeRuns(
  tx: Tx,
  runIds: readonly RunId[],
  served: readonly string[] | undefined,
): Promise<JudgedRun[]> {
  const { rows } = await tx.query<RunToStart & Omit<JudgedRun, 'run'>>(
    `select ${runToStart}, r.overlap_allowed as "overlapAllowed",
       c.starts_per_minute is not null as "isPaced",
       case
         when r.status = 'starting' then 'starting'
         when r.status in ('running', 'pausing', 'cancelling') then 'at_work'
         when ${waitsToGoOn} then 'go_on'
         when r.status <> 'queued' then 'gone'
         when s.status = 'deleted' then 'sync_deleted'
         when r.start_before < clock_timestamp() then 'missed'
         when r.due_at > clock_timestamp() then 'not_due'
         else coalesce(${pausedReason}, case when ${isBlocked} then 'previous_run'
           when ${isOfNone('$2::text[]')} then 'no_worker'
           when c.cool_until > clock_timestamp() then 'cooling_down' else 'start' end)
       end as judged,
       ceil(extract(epoch from greatest(r.due_at, c.cool_until) - clock_timestamp()) * 1000)::float8 as "waitMs"
     from ${runWithItsSync}
     where r.id = any($1)
     order by greatest(r.due_at, r.queued_at), r.id`,
    [runIds, served ?? null],
  );
  return rows.map(({ judged, overlapAllowed, isPaced, waitMs, ...run }) => ({
    run,
    judged,
    overlapAllowed,
    isPaced,
    waitMs,
  }));
}

/** For a dispatcher that has no index to ask when the next run of such a source may start. */
async function noteStarts(tx: Tx, judged: readonly JudgedRun[]): Promise<void> {
  const paced = judged.filter((r) => r.judged === 'start' && r.isPaced).map(({ run }) => run.runId);
  if (paced.length === 0) return;
  await tx.query(
    `update penstock.connection set last_start_at = clock_timestamp()
     where id in (
       select c.id from penstock.connection c
       where c.id in (select source_connection_id from penstock.run where id = any($1))
       order by c.id for no key update)`,
    [paced],
  );
}

/** Of the runs that start now: whatever becomes of their connections' class, theirs stays. */
async function freezeClasses(tx: Tx, judged: readonly JudgedRun[]): Promise<void> {
  const classed = judged.filter((r) => r.judged === 'start' && r.run.workerClass !== null);
  if (classed.length === 0) return;
  await tx.query(
    `update penstock.run r set worker_class = f.worker_class
     from unnest($1::text[], $2::text[]) f (id, worker_class) where r.id = f.id`,
    [classed.map(({ run }) => run.runId), classed.map(({ run }) => run.workerClass)],
  );
}

function firstOfEachSync(runs: readonly JudgedRun[]): JudgedRun[] {
  const starting = new Set<SyncId>();
  return runs.map((judgement) => {
    const { run, judged, overlapAllowed } = judgement;
    if (judged !== 'start' || overlapAllowed) return judgement;
    if (starting.has(run.syncId)) return { ...judgement, judged: 'previous_run' };
    starting.add(run.syncId);
    return judgement;
  });
}

function toVerdict({ run, judged, waitMs }: JudgedRun): StartVerdict {
  const { runId } = run;
  if (judged === 'start' || judged === 'starting') return { runId, verdict: 'start', run };
  if (judged === 'go_on') return { runId, verdict: 'go_on', run };
  if (judged === 'at_work') return { runId, verdict: 'at_work' };
  if (judged === 'gone' || judged === 'missed' || judged === 'sync_deleted')
    return { runId, verdict: 'gone' };
  const hasTime = judged === 'not_due' || judged === 'cooling_down';
  return { runId, verdict: 'wait', reason: judged, inMs: hasTime ? waitMs : null };
}

/** Notes why queued runs wait. Of a paused run the reason is more: it says that the run wants to go on (`waitsToGoOn`). */
async function noteWaiting(tx: Tx, verdicts: readonly StartVerdict[]): Promise<void> {
  const waiting = verdicts.filter((v) => v.verdict === 'wait');
  if (waiting.length === 0) return;
  await tx.query(
    `update penstock.run r set waiting_reason = w.reason
     from unnest($1::text[], $2::text[]) w (id, reason)
     where r.id = w.id and r.status = 'queued' and r.waiting_reason is distinct from w.reason`,
    [waiting.map((v) => v.runId), waiting.map((v) => v.reason)],
  );
}
