/** Loads: found, opened, abandoned (rule 5 of the commit protocol). */
import { hashCursor, hashPlan, stillTravels } from '../../copy/plan-hash.ts';
import { PenstockError } from '../../domain/errors.ts';
import { loadIdOf, type LoadId, type RunId, type SyncId } from '../../domain/ids.ts';
import type { Receipt } from '../../domain/run-states.ts';
import type {
  DoneLoad,
  LoadPlan,
  OnSchemaChange,
  OpenLoad,
  TargetForecast,
} from '../../ports/destination.ts';
import type { CursorWindow, KeyAgain, PartitionBounds } from '../../ports/source.ts';
import { isoOf } from '../../postgres-client/quote.ts';
import { cursorMoved, fetchCursor, holdCursor, lockCursor } from './cursor.ts';
import type { Sql } from './destination-session.ts';
import type { Publishing } from './modes/mode.ts';
import { modeOf } from './modes/modes.ts';
import { findColumnChange, freezeColumns, refreezeColumns, type FrozenColumn } from './frozen-columns.ts';
import { fetchKeysAgain } from './rejects.ts';
import { isTarget } from './require-target.ts';
import { requireOwnSchema } from './schema.ts';
import { sumCheckpoints } from './sum-checkpoints.ts';
import { claimTarget, recheckTarget } from './target.ts';

/** A row of `_penstock.load`, with its partitions. */
export interface LoadRow {
  id: LoadId;
  sync: SyncId;
  openedBy: RunId;
  finishedBy: RunId | null;
  plan: LoadPlan;
  cursorHash: string;
  low: string | null;
  high: string | null;
  again: readonly KeyAgain[];
  relation: string;
  targetColumns: readonly FrozenColumn[];
  columnsState: string;
  /** The target had no rows at all when the load was opened. */
  wasEmpty: boolean;
  phase: OpenLoad['phase'] | 'abandoned';
  receipt: unknown;
  partitions: number[];
  lastEpoch: string;
}

const loadColumns = `id, sync, opened_by as "openedBy", finished_by as "finishedBy", plan,
  cursor_hash as "cursorHash", low, high, again, relation::text,
  target_columns as "targetColumns", columns_state as "columnsState", straight as "wasEmpty", phase, receipt,
  array(select no from _penstock.partition p where p.load = l.id order by no) as partitions,
  (select coalesce(max(epoch), 0)::text from _penstock.lease e where e.load = l.id) as "lastEpoch"`;

/** Locks the run's row against being made final meanwhile (inserted if absent). RUN_FINAL. */
export async function lockRun(sql: Sql, runId: RunId): Promise<void> {
  await sql('insert into _penstock.run (id) values ($1) on conflict do nothing', [runId]);
  const [row] = await sql<{ final: boolean }>('select final from _penstock.run where id = $1 for share', [
    runId,
  ]);
  if (row!.final) throw new PenstockError('RUN_FINAL', `The run ${runId} is final.`);
}

export async function fetchLoadRow(sql: Sql, load: LoadId, lock = ''): Promise<LoadRow | null> {
  const [row] = await sql<LoadRow>(`select ${loadColumns} from _penstock.load l where id = $1 ${lock}`, [
    load,
  ]);
  return row ?? null;
}

const openOfSync = `from _penstock.load l where sync = $1 and phase not in ('done', 'abandoned')`;

/** The sync's load that is neither done nor abandoned. Who only looks takes no lock: it would end a publisher that holds it. */
export async function fetchOpenLoad(sql: Sql, sync: SyncId, lock = ''): Promise<LoadRow | null> {
  const [row] = await sql<LoadRow>(`select ${loadColumns} ${openOfSync} ${lock}`, [sync]);
  return row ?? null;
}

/** The same, locked until the transaction ends: nobody else publishes it or gives it up meanwhile. */
export const lockOpenLoad = (sql: Sql, sync: SyncId): Promise<LoadRow | null> =>
  fetchOpenLoad(sql, sync, 'for update');

/** FENCED when it was abandoned. */
export function openLoadOf(row: LoadRow, runId: RunId | null): OpenLoad {
  const { id, phase, plan, low, high, again, partitions, lastEpoch } = row;
  if (phase === 'abandoned') throw new PenstockError('FENCED', `The load ${id} was abandoned.`);
  const continued = runId !== null && row.openedBy !== runId;
  return { loadId: id, phase, continued, plan, window: { low, high, again }, partitions, lastEpoch };
}

/**
 * Whether a run that has finished this load is to open one of its own. An earlier run's window ended before this run
 * began; but a mode that only adds, without a cursor, has one window only, everything, and must not load it twice.
 */
export const leavesWork = (load: Pick<LoadRow, 'openedBy' | 'plan'>, runId: RunId): boolean =>
  load.openedBy !== runId && !(modeOf(load.plan).onlyAdds && load.plan.cursor === null);

interface FindRequest {
  run: RunId;
  sync: SyncId;
  plan: LoadPlan;
}

/** The load that the run works on, if there is one already. RUN_FINAL, UNFINISHED_LOAD. */
export async function findLoad(sql: Sql, request: FindRequest): Promise<OpenLoad | null> {
  await lockRun(sql, request.run);
  const finished = await sql<LoadRow>(
    `select ${loadColumns} from _penstock.load l where finished_by = $1 and phase = 'done'`,
    [request.run],
  );
  const last = finished.find((load) => !leavesWork(load, request.run));
  if (last) return openLoadOf(last, request.run);
  const open = await lockOpenLoad(sql, request.sync);
  if (!open) return null;
  // A backfill finishes first what a run of the sync itself has left, by that one's plan, as any run would.
  const isSame = [request.plan, { ...request.plan, movesCursor: true }].some((plan) => doesAs(open, plan));
  if (isSame && (await mayGoOn(sql, open))) return openLoadOf(open, request.run);
  // The leases first, which waits for a batch in hand: looked at before, it would be committed unseen.
  await abandonLoad(sql, open);
  if (await isUsersToDecide(sql, open))
    throw (isSame && (await findColumnChange(sql, open))) || unfinished(open);
  return null;
}

/**
 * The load does what a new one by this plan would, in a way that is still possible. Told by the plan that it has: the hash
 * beside it is of what made a plan the same when it was opened, maybe by another version.
 */
const doesAs = ({ plan }: LoadRow, now: LoadPlan): boolean =>
  hashPlan(plan) === hashPlan(now) && stillTravels(plan, now);

/** Of rows that cannot be taken back, TARGET_CHANGED says that their table is another, when more are to be written. */
async function mayGoOn(sql: Sql, load: LoadRow): Promise<boolean> {
  if (!(await isTarget(sql, load))) return isLasting(load);
  if (!(await refreezeColumns(sql, load))) return false;
  await recheckTarget(sql, load);
  return true;
}

/** Whether there is a `_penstock` at all; asked by what must not make one. DESTINATION_PERMISSION when it is a stranger's. */
export async function isPrepared(sql: Sql): Promise<boolean> {
  await requireOwnSchema(sql);
  return (await sql(`select from pg_class where oid = to_regclass('_penstock.load')`)).length > 0;
}

/** The newest that has ended well and whose window the next one goes on from. */
export async function fetchLastDone(sql: Sql, sync: SyncId): Promise<DoneLoad | null> {
  if (!(await isPrepared(sql))) return null;
  const [load] = await sql<LoadRow & { closedAt: string; isFollowed: boolean }>(
    `select ${loadColumns}, exists (select ${openOfSync}) as "isFollowed", ${isoOf('closed_at')} as "closedAt"
       from _penstock.load l
      where sync = $1 and phase = 'done' and (plan ->> 'cursor' is null or (plan ->> 'movesCursor')::boolean)
      order by closed_at desc limit 1`,
    [sync],
  );
  if (!load) return null;
  const { id: loadId, plan, low, high, closedAt, isFollowed } = load;
  const receipt = load.receipt as Receipt;
  return { loadId, plan, window: { low, high }, receipt, closedAt, isFollowed };
}

/** What its batches commit can be neither taken back nor written over. */
export function isLasting({ plan }: LoadRow): boolean {
  const { onlyAdds, staged } = modeOf(plan);
  return onlyAdds && !staged;
}

/** Rows that cannot be taken back are committed: whether to keep them is nobody else's to say. */
const isUsersToDecide = async (sql: Sql, load: LoadRow): Promise<boolean> =>
  isLasting(load) && (await hasCheckpoints(sql, load.id));

const unfinished = (load: LoadRow): PenstockError =>
  new PenstockError(
    'UNFINISHED_LOAD',
    `The load ${load.id} into ${load.plan.target.schema}.${load.plan.target.table} was begun with another plan, and has committed rows that cannot be taken back.`,
    { meta: { loadId: load.id } },
  );

async function hasCheckpoints(sql: Sql, load: LoadId): Promise<boolean> {
  return (await sql('select from _penstock.checkpoint where load = $1 limit 1', [load])).length > 0;
}

/** Ends a load without finishing it; its leases are cleared, so that nothing more commits for it. */
export async function abandonLoad(sql: Sql, load: LoadRow): Promise<void> {
  await sql(`update _penstock.load set phase = 'abandoned', closed_at = now() where id = $1`, [load.id]);
  await sql('update _penstock.lease set run = null where load = $1', [load.id]);
  await modeOf(load.plan).clear?.(sql, load);
}

interface OpenRequest extends FindRequest {
  window: CursorWindow;
  partitions: readonly PartitionBounds[];
  publishing: Publishing;
  onSchemaChange?: OnSchemaChange | undefined;
}

/** Opens a load, if the cursor still is where the window begins. RUN_FINAL, CURSOR_MOVED, TARGET_*. */
export async function insertLoad(
  sql: Sql,
  { run: runId, sync, plan, window, partitions, publishing, onSchemaChange = 'fail' }: OpenRequest,
): Promise<OpenLoad> {
  await lockRun(sql, runId);
  const isBackfill = plan.cursor !== null && !plan.movesCursor;
  if (isBackfill) {
    await holdCursor(sql, sync, hashCursor(plan));
    // Of a target that is gone the cursor's value is gone, too: once this load has claimed the next one nobody would see it.
    await fetchCursor(sql, sync, plan);
  } else await lockCursor(sql, sync, hashCursor(plan), window.low);
  // The cursor's lock serialises openers: whoever came first has a load open now. Not locked: finish locks it first.
  if ((await sql(`select ${openOfSync}`, [sync])).length > 0) throw cursorMoved();
  const before = await fetchPlanBefore(sql, sync, plan);
  const target = await claimTarget(sql, { sync, role: publishing.role }, { plan, before, onSchemaChange });
  const [{ ordinal } = { ordinal: 0 }] = await sql<{ ordinal: number }>(
    'select count(*)::int as ordinal from _penstock.load where opened_by = $1',
    [runId],
  );
  const id = loadIdOf(runId, ordinal);
  await sql(
    `insert into _penstock.load
       (id, sync, opened_by, ordinal, plan, plan_hash, cursor_hash, low, high, again, relation, straight, phase)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'planned')`,
    [
      id,
      sync,
      runId,
      ordinal,
      JSON.stringify(plan),
      hashPlan(plan),
      hashCursor(plan),
      window.low,
      window.high,
      JSON.stringify(window.low === null || isBackfill ? [] : await fetchKeysAgain(sql, sync, plan)),
      target.relation,
      target.isEmpty,
    ],
  );
  await sql(
    `insert into _penstock.partition (load, no, bounds)
     select $1, no, bounds from jsonb_array_elements($2::jsonb) with ordinality as t(bounds, no)`,
    [id, JSON.stringify(partitions)],
  );
  await sql(
    'insert into _penstock.lease (load, partition) select load, no from _penstock.partition where load = $1',
    [id],
  );
  await freezeColumns(sql, { id, plan, relation: target.relation });
  const load = (await fetchLoadRow(sql, id))!;
  await modeOf(plan).open?.(sql, load, publishing);
  const { schemaChange } = target;
  return { ...openLoadOf(load, runId), ...(schemaChange && { schemaChange }) };
}

/** The plan by which the sync has filled this table before. */
export async function fetchPlanBefore(
  sql: Sql,
  sync: SyncId,
  { target }: LoadPlan,
): Promise<LoadPlan | null> {
  const [last] = await sql<{ plan: LoadPlan }>(
    `select plan from _penstock.load where sync = $1 and phase = 'done' order by closed_at desc limit 1`,
    [sync],
  );
  const isSame = last?.plan.target.schema === target.schema && last.plan.target.table === target.table;
  return isSame ? last.plan : null;
}

/** What becomes of the sync's unfinished load with this plan. */
export async function foreseeUnfinished(
  sql: Sql,
  sync: SyncId,
  plan: LoadPlan,
): Promise<TargetForecast['unfinished']> {
  const open = await fetchOpenLoad(sql, sync);
  if (!open) return null;
  const { rows } = await sumCheckpoints(sql, open.id);
  const isSame = doesAs(open, plan);
  const goesOn = isSame && (isLasting(open) || (await isTarget(sql, open)));
  const becomes = goesOn ? 'continued' : (await isUsersToDecide(sql, open)) ? 'refused' : 'abandoned';
  return { loadId: open.id, rows, becomes };
}
