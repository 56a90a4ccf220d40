/** Loads: found, opened, abandoned (see commit-protocol.ts); and what would become of one. */
import { hashCursor, hashPlan, stillTravels } from '../../copy/plan-hash.ts';
import { PenstockError } from '../../domain/errors.ts';
import { loadIdOf, type LoadId, type RunId, type SyncId } from '../../domain/ids.ts';
import type { LoadPlan, OnSchemaChange, OpenLoad, TargetForecast } from '../../ports/destination.ts';
import type { CursorWindow, PartitionBounds } from '../../ports/source.ts';
import { cursorMoved, fetchCursor, holdCursor, lockCursor } from './cursor.ts';
import type { Sql } from './destination-session.ts';
import { columnsNow, findColumnChange, refreezeColumns } from './frozen-columns.ts';
import {
  fetchFinished,
  fetchLastDone,
  fetchLoadRow,
  fetchOpenLoad,
  fetchStanding,
  lockOpenLoad,
  openLoadOf,
  type LoadRow,
} from './load-row.ts';
import { lockRun } from './lock-run.ts';
import type { Publishing } from './modes/mode.ts';
import { modeOf } from './modes/modes.ts';
import { fetchKeysAgain } from './rejects.ts';
import { isTarget } from './require-target.ts';
import { sumCheckpoints } from './sum-checkpoints.ts';
import { claimTarget, recheckTarget } from './target.ts';

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
  const finished = await fetchFinished(sql, request.run);
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

/** The load does what a new one by this plan would, in a way that is still possible. */
const doesAs = ({ plan }: LoadRow, now: LoadPlan): boolean =>
  hashPlan(plan) === hashPlan(now) && stillTravels(plan, now);

/** Of rows that cannot be taken back, TARGET_CHANGED says that their table is another, when more are to be written. */
async function mayGoOn(sql: Sql, load: LoadRow): Promise<boolean> {
  if (!(await isTarget(sql, load))) return isLasting(load);
  if (!(await refreezeColumns(sql, load))) return false;
  await recheckTarget(sql, load);
  return true;
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
  lastDone?: LoadId | null | undefined;
}

/** Opens a load, if the cursor still is where the window begins. RUN_FINAL, CURSOR_MOVED, TARGET_*; FENCED: see `lastDone`. */
export async function insertLoad(sql: Sql, request: OpenRequest): Promise<OpenLoad> {
  const { run, sync, plan, publishing, onSchemaChange = 'fail', lastDone } = request;
  await lockRun(sql, run);
  await claimCursor(sql, request);
  // The cursor's lock serialises openers: whoever came first has a load open now. Not locked: finish locks it first.
  const { hasOpen, planBefore: before, opened } = await fetchStanding(sql, request);
  if (hasOpen) throw cursorMoved();
  if (lastDone !== undefined && ((await fetchLastDone(sql, sync))?.loadId ?? null) !== lastDone)
    throw new PenstockError('FENCED', 'Another copy was done since this one was begun.');
  const target = await claimTarget(sql, { sync, role: publishing.role }, { plan, before, onSchemaChange });
  const id = await insertRows(sql, request, { ...target, ordinal: opened });
  const load = (await fetchLoadRow(sql, id))!;
  await modeOf(plan).open?.(sql, load, publishing);
  const { schemaChange } = target;
  return { ...openLoadOf(load, run), ...(schemaChange && { schemaChange }) };
}

const isBackfill = ({ cursor, movesCursor }: LoadPlan): boolean => cursor !== null && !movesCursor;

/** Holds the sync's cursor, for a load that moves it only where the window begins. CURSOR_MOVED. */
async function claimCursor(sql: Sql, { sync, plan, window }: OpenRequest): Promise<void> {
  if (!isBackfill(plan)) return lockCursor(sql, sync, hashCursor(plan), window.low);
  await holdCursor(sql, sync, hashCursor(plan));
  // Of a target that is gone the cursor's value is gone, too: once this load has claimed the next one nobody would see it.
  await fetchCursor(sql, sync, plan);
}

/** The load with its target's columns as they are, its partitions and their leases; its id. */
async function insertRows(
  sql: Sql,
  { run, sync, plan, window, partitions }: OpenRequest,
  { ordinal, relation, isEmpty }: { ordinal: number; relation: string; isEmpty: boolean },
): Promise<LoadId> {
  const id = loadIdOf(run, ordinal);
  const again = window.low === null || isBackfill(plan) ? [] : await fetchKeysAgain(sql, sync, plan);
  await sql(
    `insert into _penstock.load
       (id, sync, opened_by, ordinal, plan, cursor_hash, low, high, again, relation, straight, phase,
        target_columns, columns_state)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::oid, $11, 'planned', ${columnsNow('$10::oid', plan)})`,
    [
      id,
      sync,
      run,
      ordinal,
      JSON.stringify(plan),
      hashCursor(plan),
      window.low,
      window.high,
      JSON.stringify(again),
      relation,
      isEmpty,
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
  return id;
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
