/** The rows of `_penstock.load` as the rest of the destination reads them. */
import { PenstockError } from '../../domain/errors.ts';
import type { LoadId, RunId, SyncId } from '../../domain/ids.ts';
import type { Receipt } from '../../domain/run-states.ts';
import type { DoneLoad, LoadPlan, OpenLoad, TableName } from '../../ports/destination.ts';
import type { KeyAgain } from '../../ports/source.ts';
import { isoOf } from '../../postgres-client/quote.ts';
import type { Sql } from './destination-session.ts';
import type { FrozenColumn } from './frozen-columns.ts';
import { requireOwnSchema } from './schema.ts';

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

/** Null when it is not there. `lock`: a clause such as `for update`. */
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

export interface Standing {
  /** A load of the sync is neither done nor abandoned. */
  hasOpen: boolean;
  /** How many loads the run has opened. */
  opened: number;
  /** The plan by which the sync has filled this table before. */
  planBefore: LoadPlan | null;
}

const lastPlan = `select plan from _penstock.load where sync = $1 and phase = 'done' order by closed_at desc limit 1`;

const ifOfTable = (plan: LoadPlan | null | undefined, { schema, table }: TableName): LoadPlan | null =>
  plan?.target.schema === schema && plan.target.table === table ? plan : null;

/** What there is before the run opens a load. Takes no lock. */
export async function fetchStanding(
  sql: Sql,
  { run, sync, plan }: { run: RunId; sync: SyncId; plan: LoadPlan },
): Promise<Standing> {
  const [found] = await sql<Standing>(
    `select exists (select ${openOfSync}) as "hasOpen", (${lastPlan}) as "planBefore",
            (select count(*)::int from _penstock.load where opened_by = $2) as opened`,
    [sync, run],
  );
  return { ...found!, planBefore: ifOfTable(found!.planBefore, plan.target) };
}

/** The loads that the run has finished. */
export const fetchFinished = (sql: Sql, run: RunId): Promise<LoadRow[]> =>
  sql<LoadRow>(`select ${loadColumns} from _penstock.load l where finished_by = $1 and phase = 'done'`, [
    run,
  ]);

/** FENCED when it was abandoned. */
export function openLoadOf(row: LoadRow, runId: RunId | null): OpenLoad {
  const { id, phase, plan, low, high, again, partitions, lastEpoch } = row;
  if (phase === 'abandoned') throw new PenstockError('FENCED', `The load ${id} was abandoned.`);
  const continued = runId !== null && row.openedBy !== runId;
  return { loadId: id, phase, continued, plan, window: { low, high, again }, partitions, lastEpoch };
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

/** The plan by which the sync has filled this table before. Takes no lock. */
export async function fetchPlanBefore(
  sql: Sql,
  sync: SyncId,
  { target }: LoadPlan,
): Promise<LoadPlan | null> {
  const [last] = await sql<{ plan: LoadPlan }>(lastPlan, [sync]);
  return ifOfTable(last?.plan, target);
}
