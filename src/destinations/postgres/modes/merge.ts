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
import { runAll } from '../../../postgres-client/query.ts';
import { differs, type TargetColumn } from '../target-columns.ts';
import { qualifiedName, rowsSwallowed } from '../target-name.ts';
import { isMarked, unmark } from './soft-delete.ts';

export const stagingTable = 'pg_temp.penstock_stage';

const columnList = (names: readonly string[]): string => names.map(ident).join(', ');

/** Created in the batch's transaction and gone with it: right behind a transaction pooler, and nothing to clean up. */
export function createStaging(plan: LoadPlan): string {
  const columns = columnList(plan.columns.map((column) => column.name));
  return `create temporary table penstock_stage on commit drop as select ${columns} from ${qualifiedName(plan.target)} with no data`;
}

export interface MergeRequest {
  plan: LoadPlan;
  columns: readonly TargetColumn[];
  /** Rows in the staging table. */
  rows: number;
  /** A trigger may swallow rows: look for every key afterwards. */
  verify: boolean;
  answerMs: number;
}

/** Merges the staged rows; true counts. ROWS_SWALLOWED. */
export async function mergeStaged(client: Client, request: MergeRequest): Promise<BatchCounts> {
  const { plan, rows, answerMs } = request;
  let merged = await merge(client, request, false);
  if (merged.distinct < rows) {
    // Which of the duplicates stayed was left to chance: once more, by the rule.
    await runAll(client, 'rollback to savepoint merge', answerMs);
    merged = await merge(client, request, true);
  }
  if (request.verify) await findSwallowed(client, plan, answerMs);
  const { inserted, updated, distinct } = merged;
  return { inserted, updated, unchanged: distinct - inserted - updated, deduplicated: rows - distinct };
}

interface Merged {
  distinct: number;
  inserted: number;
  updated: number;
}

async function merge(client: Client, request: MergeRequest, byRule: boolean): Promise<Merged> {
  const sql = `set local work_mem = '64MB'; savepoint merge; ${mergeStatement(request, byRule)}`;
  const results = await runAll(client, sql, request.answerMs);
  const row = results.at(-1)!.rows[0] as Record<keyof Merged, string>;
  return { distinct: Number(row.distinct), inserted: Number(row.inserted), updated: Number(row.updated) };
}

function mergeStatement({ plan, columns }: MergeRequest, byRule: boolean): string {
  const names = columnList(columns.map((column) => column.name));
  const key = columnList(plan.key);
  const others = columns.filter((column) => !plan.key.includes(column.name));
  const set = others.map(({ name }) => `${ident(name)} = excluded.${ident(name)}`);
  const isOld = others.map(differs);
  if (plan.softDelete) {
    set.push(unmark(plan.softDelete));
    isOld.push(isMarked('t', plan.softDelete));
  }
  const action = set.length === 0 ? 'nothing' : `update set ${set.join(', ')} where ${isOld.join(' or ')}`;
  const cursor = plan.cursor ? `, ${ident(plan.cursor.column)} desc nulls last` : '';
  const tieBreak = byRule ? `${cursor}, s::text collate "C" desc` : '';
  return `with candidate as materialized (
      select distinct on (${key}) ${names} from ${stagingTable} as s order by ${key}${tieBreak}),
    merged as (
      insert into ${qualifiedName(plan.target)} as t (${names}) select ${names} from candidate
      on conflict (${key}) do ${action}
      returning t.xmax = 0 as is_new)
    select (select count(*) from candidate) as distinct,
      count(*) filter (where is_new) as inserted, count(*) filter (where not is_new) as updated from merged`;
}

async function findSwallowed(client: Client, plan: LoadPlan, answerMs: number): Promise<void> {
  const sameKey = plan.key.map((name) => `t.${ident(name)} = s.${ident(name)}`).join(' and ');
  const [missing] = await runAll(
    client,
    `select from ${stagingTable} as s
      where not exists (select from ${qualifiedName(plan.target)} as t where ${sameKey}) limit 1`,
    answerMs,
  );
  if (missing!.rows.length > 0) throw rowsSwallowed(plan);
}
