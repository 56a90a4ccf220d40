/**
 * A batch is copied into a temporary table and merged from there, in key order (two writers then meet in the same order
 * and cannot deadlock), one row per key, and only rows that changed are rewritten.
 *
 * Of rows with one key, the one with the greatest cursor wins; without a cursor, or among equals, the one whose text
 * sorts last, byte by byte. Batches are cut where the key changes, so the rule holds for the whole load.
 */
import type { Client } from 'pg';
import type { BatchCounts, LoadPlan } from '../../../ports/destination.ts';
import { ident } from '../../../postgres-client/quote.ts';
import { asNumbers, runAll } from '../../../postgres-client/query.ts';
import type { SameKey } from '../key-index.ts';
import { inScope, targetKey, withScope } from '../scoped.ts';
import { differs, type TargetColumn } from '../target-columns.ts';
import { qualifiedName, rowsSwallowed } from '../target-name.ts';
import { isLive, isMarked, removeRows, unmark } from './soft-delete.ts';
import { stagingTable } from './staging.ts';

const columnList = (names: readonly string[]): string => names.map(ident).join(', ');

export interface MergeRequest {
  plan: LoadPlan;
  /** Of the target. */
  columns: readonly TargetColumn[];
  sameKey: SameKey;
  /** Rows in the staging table. */
  rows: number;
  /** A trigger may swallow rows: look for every key afterwards. */
  verify: boolean;
  answerMs: number;
}

/** Merges the staged rows; true counts. ROWS_SWALLOWED. */
export async function mergeStaged(client: Client, request: MergeRequest): Promise<BatchCounts> {
  const { rows, answerMs } = request;
  let merged = await merge(client, request, false);
  if (merged.distinct < rows) {
    // Which of the duplicates stayed was left to chance: once more, by the rule.
    await runAll(client, 'rollback to savepoint merge', answerMs);
    merged = await merge(client, request, true);
  }
  if (request.verify) await findSwallowed(client, request);
  const { inserted, updated, distinct, tombstones, deleted } = merged;
  const unchanged = distinct - tombstones - inserted - updated;
  return { inserted, updated, unchanged, deduplicated: rows - distinct, tombstones, deleted };
}

interface Merged {
  distinct: number;
  inserted: number;
  updated: number;
  tombstones: number;
  deleted: number;
}

async function merge(client: Client, request: MergeRequest, byRule: boolean): Promise<Merged> {
  const sql = `set local work_mem = '64MB'; savepoint merge; ${mergeStatement(request, byRule)}`;
  const results = await runAll(client, sql, request.answerMs);
  return asNumbers(results.at(-1)!.rows[0] as Record<keyof Merged, string>);
}

/** "The staged row says that its key is gone"; never NULL. */
function isTombstone({ deletedWhen }: LoadPlan): string {
  if (!deletedWhen) return 'false';
  const column = `s.${ident(deletedWhen.column)}`;
  return deletedWhen.isBoolean ? `(${column}::text::boolean is true)` : `(${column} is not null)`;
}

/** One staged row a key; which of several is left to chance unless it is asked for by the rule. */
function candidates({ plan, columns }: MergeRequest, byRule: boolean): string {
  const key = columnList(plan.key);
  const cursor = plan.cursor ? `, ${ident(plan.cursor.column)} desc nulls last` : '';
  const tieBreak = byRule ? `${cursor}, s::text collate "C" desc` : '';
  return `select distinct on (${key}) ${columnList(columns.map(({ name }) => name))}, ${isTombstone(plan)} as penstock_gone
        from ${stagingTable} as s order by ${key}${tieBreak}`;
}

function mergeStatement(request: MergeRequest, byRule: boolean): string {
  const { plan, columns, sameKey } = request;
  const { into, values } = withScope(
    plan,
    columns.map((column) => column.name),
  );
  const removed = plan.deletedWhen
    ? removeRows(plan, { from: 'candidate as c', where: `c.penstock_gone and ${sameKey('t', 'c')}` })
    : '';
  return `with candidate as materialized (
      ${candidates(request, byRule)}),
    merged as (
      insert into ${qualifiedName(plan.target)} as t (${into}) select ${values} from candidate where not penstock_gone
      on conflict (${columnList(targetKey(plan))}) do ${conflictAction(plan, columns)}
      returning t.xmax = 0 as is_new)
    ${removed === '' ? '' : `, removed as (${removed} returning 1)`}
    select (select count(*) from candidate) as distinct,
      (select count(*) from candidate where penstock_gone) as tombstones,
      ${removed === '' ? '0' : '(select count(*) from removed)'} as deleted,
      count(*) filter (where is_new) as inserted, count(*) filter (where not is_new) as updated from merged`;
}

/** Conditions of which one holds of a target's row `t` that the row `excluded` is to change. */
function staleness({ softDelete, key }: LoadPlan, columns: readonly TargetColumn[]): string[] {
  const isOld = columns.filter(({ name }) => !key.includes(name)).map(differs);
  return softDelete ? [...isOld, isMarked('t', softDelete)] : isOld;
}

/** Only rows that differ are rewritten; a row whose key has come again is no longer marked as deleted. */
function conflictAction(plan: LoadPlan, columns: readonly TargetColumn[]): string {
  const others = columns.filter((column) => !plan.key.includes(column.name));
  const set = others.map(({ name }) => `${ident(name)} = excluded.${ident(name)}`);
  if (plan.softDelete) set.push(unmark(plan.softDelete));
  return set.length === 0
    ? 'nothing'
    : `update set ${set.join(', ')} where ${staleness(plan, columns).join(' or ')}`;
}

/**
 * Keys that are not there although they should be, or the other way round; and rows that still differ and that nobody has
 * written since this transaction began, so that it was not this one's doing nor anybody's who came in between.
 */
async function findSwallowed(client: Client, request: MergeRequest): Promise<void> {
  const { plan, columns, sameKey, answerMs } = request;
  const found = `select from ${qualifiedName(plan.target)} as t where ${inScope('t', plan)} and ${sameKey('t', 'excluded')}`;
  const isOld = ['false', ...staleness(plan, columns)].join(' or ');
  const began = `(pg_catalog.txid_current() % 4294967296)::text::xid`;
  const [missing] = await runAll(
    client,
    `with said as materialized (${candidates(request, true)})
     select from said as excluded
      where penstock_gone = exists (${found} and ${isLive(plan)})
         or not penstock_gone and exists (${found} and (${isOld}) and age(t.xmin) > age(${began}))
      limit 1`,
    answerMs,
  );
  if (missing!.rows.length > 0) throw rowsSwallowed(plan);
}
