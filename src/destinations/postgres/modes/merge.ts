/**
 * A batch is copied into a temporary table and merged from there, in key order (two writers then meet in the same order
 * and cannot deadlock), one row per key, and only rows that changed are rewritten.
 *
 * Of rows with one key, the one with the greatest cursor wins; without a cursor, or among equals, the one whose text
 * sorts last, byte by byte. Batches are cut where the key changes, so the rule holds for the whole load.
 *
 * `insert … on conflict do update … where` locks each row that it meets, and logs the lock, before it looks whether the
 * row differs. So where most rows may be there already as they should be, a join finds the others first.
 */
import type { Client } from 'pg';
import { isCollatable, isExact } from '../../../copy/exact-types.ts';
import type { LoadPlan } from '../../../ports/destination.ts';
import type { BatchCounts } from '../../../ports/partition-writer.ts';
import { ident, identList } from '../../../postgres-client/quote.ts';
import { asNumbers, runAll } from '../../../postgres-client/query.ts';
import type { SameKey } from '../key-index.ts';
import { inScope, targetKey, withScope } from '../scoped.ts';
import { differs, type TargetColumn } from '../target-columns.ts';
import { qualifiedName, rowsSwallowed } from '../target-name.ts';
import { isLive, isMarked, removeRows, unmark } from './soft-delete.ts';
import { stagingTable } from './staging.ts';

/** One row per key, where keys repeat. */
const chosenTable = 'pg_temp.penstock_chosen';
/** Rows that the target does not have, or has otherwise. */
const changedTable = 'pg_temp.penstock_changed';

export interface MergeRequest {
  plan: LoadPlan;
  /** Of the target. */
  columns: readonly TargetColumn[];
  sameKey: SameKey;
  /** Rows in the staging table. */
  rows: number;
  /** Find the rows that differ before any is written. */
  compareFirst: boolean;
  /** A trigger may swallow rows: look for every key afterwards. */
  verify: boolean;
  answerMs: number;
}

/** Merges the staged rows; true counts. ROWS_SWALLOWED. */
export async function mergeStaged(client: Client, request: MergeRequest): Promise<BatchCounts> {
  const { plan, rows, compareFirst, verify, answerMs } = request;
  const inOrder = comeInOrder(request);
  const distinct = inOrder ? rows : await countKeys(client, request);
  const repeats = distinct < rows;
  const candidates = repeats ? chosenTable : stagingTable;
  const results = await runAll(
    client,
    [
      `set local work_mem = '64MB'`,
      ...(repeats ? [chooseRows(plan)] : []),
      ...(compareFirst ? [findChanged(request, candidates)] : []),
      insertRows(request, { from: compareFirst ? changedTable : candidates, inOrder }),
      ...(plan.deletedWhen ? [removeGone(request, candidates)] : []),
      ...(verify ? [findSwallowed(request, candidates)] : []),
      // The batch may have another part.
      ...(repeats ? [`drop table ${chosenTable}`] : []),
      ...(compareFirst ? [`drop table ${changedTable}`] : []),
    ].join('; '),
    answerMs,
  );
  const none = { inserted: '0', updated: '0', tombstones: '0', deleted: '0', swallowed: '0' };
  const counted = results.flatMap((result) => result.rows as Partial<typeof none>[]);
  const { swallowed, ...merged } = asNumbers(
    counted.reduce<typeof none>((all, some) => ({ ...all, ...some }), none),
  );
  if (swallowed > 0) throw rowsSwallowed(plan);
  const unchanged = distinct - merged.tombstones - merged.inserted - merged.updated;
  return { ...merged, unchanged, deduplicated: rows - distinct };
}

/**
 * No key of the result comes twice, and keys come in the target's own order: the source has proven the one, and the other
 * holds where the types are the same, no collation orders them, and the key's index compares as they do.
 */
function comeInOrder({ plan, columns, sameKey }: MergeRequest): boolean {
  const isPlain = (name: string): boolean => {
    const [there, here] = [plan.columns, columns].map((all) => all.find((column) => column.name === name));
    return there?.typeOid === here?.typeOid && isExact(here!.typeOid, -1) && !isCollatable(here!.typeOid);
  };
  const plainly = plan.key.map((name) => `a.${ident(name)} operator(pg_catalog.=) b.${ident(name)}`);
  return plan.uniqueKey && plan.key.every(isPlain) && sameKey('a', 'b') === plainly.join(' and ');
}

async function countKeys(client: Client, { plan, answerMs }: MergeRequest): Promise<number> {
  const sql = `set local work_mem = '64MB';
    select count(*) as keys from (select distinct ${identList(plan.key)} from ${stagingTable}) as s`;
  const results = await runAll(client, sql, answerMs);
  return asNumbers(results.at(-1)!.rows[0] as { keys: string }).keys;
}

/** Leaves one row of each key, by the rule. */
function chooseRows({ key, cursor }: LoadPlan): string {
  const newest = cursor ? `, ${ident(cursor.column)} desc nulls last` : '';
  return `create temporary table penstock_chosen on commit drop as
    select distinct on (${identList(key)}) * from ${stagingTable} as s
     order by ${identList(key)}${newest}, s::text collate "C" desc`;
}

/** "The staged row says that its key is gone"; never NULL. */
function isTombstone({ deletedWhen }: LoadPlan): string {
  if (!deletedWhen) return 'false';
  const column = `s.${ident(deletedWhen.column)}`;
  return deletedWhen.isBoolean ? `(${column}::text::boolean is true)` : `(${column} is not null)`;
}

/**
 * Looks every key up in the index. A join of another kind would read all of the target for each batch, and how many rows
 * are staged is something that the planner can only guess.
 */
function findChanged({ plan, columns, sameKey }: MergeRequest, candidates: string): string {
  const isMissing = `t.${ident(plan.key[0]!)} is null`;
  return `set local enable_hashjoin = off; set local enable_mergejoin = off;
    create temporary table penstock_changed on commit drop as
    select s.* from ${candidates} as s left join ${qualifiedName(plan.target)} as t on ${inScope('t', plan)} and ${sameKey('t', 's')}
     where not ${isTombstone(plan)} and (${[isMissing, ...changes(plan, columns, 's')].join(' or ')});
    set local enable_hashjoin to default; set local enable_mergejoin to default`;
}

/** In the key's order. A row whose key has come again is no longer marked as deleted. */
function insertRows(
  { plan, columns }: MergeRequest,
  { from, inOrder }: { from: string; inOrder: boolean },
): string {
  const { into, values } = withScope(
    plan,
    columns.map(({ name }) => name),
  );
  const order = inOrder ? '' : `order by ${identList(plan.key)}`;
  return `with merged as (
      insert into ${qualifiedName(plan.target)} as t (${into})
      select ${values} from ${from} as s where not ${isTombstone(plan)} ${order}
      on conflict (${identList(targetKey(plan))}) do ${conflictAction(plan, columns)}
      returning t.xmax = 0 as is_new)
    select count(*) filter (where is_new) as inserted, count(*) filter (where not is_new) as updated from merged`;
}

function removeGone({ plan, sameKey }: MergeRequest, candidates: string): string {
  const where = `${isTombstone(plan)} and ${sameKey('t', 's')}`;
  return `with removed as (${removeRows(plan, { from: `${candidates} as s`, where })} returning 1)
    select (select count(*) from ${candidates} as s where ${isTombstone(plan)}) as tombstones,
      count(*) as deleted from removed`;
}

/** Only rows that differ are rewritten. */
function conflictAction(plan: LoadPlan, columns: readonly TargetColumn[]): string {
  const set = othersOf(plan, columns).map(({ name }) => `${ident(name)} = excluded.${ident(name)}`);
  if (plan.softDelete) set.push(unmark(plan.softDelete));
  return set.length === 0
    ? 'nothing'
    : `update set ${set.join(', ')} where ${changes(plan, columns, 'excluded').join(' or ')}`;
}

const othersOf = ({ key }: LoadPlan, columns: readonly TargetColumn[]): TargetColumn[] =>
  columns.filter((column) => !key.includes(column.name));

/** What makes the target's row another than the new one; any of them. */
const changes = (plan: LoadPlan, columns: readonly TargetColumn[], fresh: string): string[] => [
  ...othersOf(plan, columns).map((column) => differs(column, fresh)),
  ...(plan.softDelete ? [isMarked('t', plan.softDelete)] : []),
];

/**
 * Keys that are not there although they should be, or the other way round; and rows that still differ and that nobody has
 * written since this transaction began, so that it was not this one's doing nor anybody's who came in between.
 */
function findSwallowed({ plan, columns, sameKey }: MergeRequest, candidates: string): string {
  const found = `select from ${qualifiedName(plan.target)} as t where ${inScope('t', plan)} and ${sameKey('t', 's')}`;
  const isOld = ['false', ...changes(plan, columns, 's')].join(' or ');
  const began = `(pg_catalog.txid_current() % 4294967296)::text::xid`;
  return `select 1 as swallowed from ${candidates} as s
     where ${isTombstone(plan)} = exists (${found} and ${isLive(plan)})
        or not ${isTombstone(plan)} and exists (${found} and (${isOld}) and (age(t.xmin) > age(${began}) or age(t.xmin) < 0))
     limit 1`;
}
