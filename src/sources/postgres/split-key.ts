/**
 * Where to split a result by the first column of its key: from the planner's statistics when the result is a whole table,
 * otherwise from a random sample of the result. A bad guess makes ranges of unequal size, never a gap or an overlap: the
 * values are sorted last of all by the comparison that reads them.
 */
import type { Client } from 'pg';
import type { CursorWindow, MappedColumn, PlannedCursor, ResultColumn } from '../../ports/source.ts';
import { ident, textArray } from '../../postgres-client/quote.ts';
import { rowOf, rowsOf, withDeadline } from '../../postgres-client/query.ts';
import { parseFilled } from './placeholders.ts';
import { asSubselect, inWindow, typesOf } from './read-statement.ts';
import { shortMs } from './source-session.ts';

/** A sample evaluates the whole query. */
const sampleMs = 3_600_000;
/** Of 64 ranges each still gets some 450 rows, which places its ends within a twentieth of its size. */
const sampleRows = 30_000;

export interface SplitRequest {
  query: string;
  columns: readonly ResultColumn[];
  key: readonly string[];
  cursor: PlannedCursor | null;
  window: CursorWindow;
  runTime?: string | undefined;
  mapping?: readonly MappedColumn[] | undefined;
  ranges: number;
  minRows: number;
}

/** The key's first column, as the statements below write it. */
interface Column {
  name: string;
  typeName: string;
}

/** What is known of the distribution: values at equal distances, and how many rows there are. */
interface Quantiles {
  values: readonly string[];
  rows: number;
}

/** Ascending, no two equal, at most `ranges` - 1. */
export async function splitKey(client: Client, request: SplitRequest): Promise<string[]> {
  const parsed = await parseFilled(request);
  const { name, typeName } = request.columns.find((each) => each.name === request.key[0])!;
  const column = { name, typeName };
  const isWhole = request.window.low === null && parsed.isWholeTable;
  const known = isWhole ? await fromStatistics(client, parsed.sql, column, request.ranges) : null;
  const { values, rows } = known ?? (await fromSample(client, parsed.sql, column, request));
  const ranges = Math.min(request.ranges, Math.floor(rows / request.minRows));
  return sortDistinct(client, parsed.sql, column, thin(values, ranges));
}

/** Every so many-th of the values, so that they make that many ranges. */
function thin(values: readonly string[], ranges: number): string[] {
  const step = (values.length + 1) / Math.max(ranges, 1);
  const picked = Array.from({ length: Math.max(ranges - 1, 0) }, (_, i) => Math.round((i + 1) * step) - 1);
  return [...new Set(picked)].flatMap((at) => values[at] ?? []);
}

/** An empty result with the column's own type and collation, to which the values are added: so they sort like its rows. */
const asColumn = (sql: string, { name }: Column): string =>
  `select q.${ident(name)} from ${asSubselect(sql)} limit 0`;

async function sortDistinct(
  client: Client,
  sql: string,
  column: Column,
  values: string[],
): Promise<string[]> {
  if (values.length === 0) return [];
  const rows = await rowsOf<{ value: string }>(
    client,
    shortMs,
    `select value::text as value from (
       select distinct value from ((${asColumn(sql, column)}) union all
         select unnest(${textArray(values)})::${column.typeName}) as given(value) order by value) as sorted`,
  );
  return rows.map(({ value }) => value);
}

/** Of a table that was analysed: its most common values with their shares, and a histogram of the others. */
async function fromStatistics(
  client: Client,
  sql: string,
  column: Column,
  ranges: number,
): Promise<Quantiles | null> {
  const type = column.typeName;
  const query = { text: asColumn(sql, column), rowMode: 'array' as const, queryMode: 'extended' };
  const [field] = (await withDeadline(client, shortMs, client.query(query))).fields;
  const [row] = await rowsOf<{ values: string[] | null; rows: number }>(
    client,
    shortMs,
    `with facts as (
       select s.most_common_vals::text::text[] as common, s.most_common_freqs as shares,
              s.histogram_bounds::text::text[] as bounds,
              1 - s.null_frac - coalesce((select sum(f) from unnest(s.most_common_freqs) as f), 0) as rest,
              c.reltuples as rows
         from pg_catalog.pg_class c
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = $2
         join pg_catalog.pg_stats s
           on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
        where c.oid = $1 and c.reltuples > 0
        order by s.inherited desc limit 1),
     given(value, share) as (
       (select q.*, 0::float8 from (${asColumn(sql, column)}) as q)
       union all
       select v::${type}, f from facts, unnest(common, shares) as t(v, f)
       union all
       select v::${type}, rest / (cardinality(bounds) - 1)
         from facts, unnest(bounds) with ordinality as t(v, position) where position > 1),
     summed as (select value, sum(share) over (order by value) / sum(share) over () as until from given)
     select (select array_agg((select value::text from summed where until >= i::float8 / ${ranges} order by until limit 1) order by i)
               from generate_series(1, ${ranges - 1}) as i) as values, rows
       from facts`,
    [field!.tableID, field!.columnID],
  );
  if (!row) return null;
  return { values: row.values?.filter((value) => value !== null) ?? [], rows: row.rows };
}

/** Of any query: a share of its rows chosen at random, such that the expected number is enough. */
async function fromSample(
  client: Client,
  sql: string,
  column: Column,
  { cursor, window, columns, ranges }: SplitRequest,
): Promise<Quantiles> {
  const inside = cursor ? inWindow(cursor, window, typesOf(columns)) : 'true';
  const share = await shareToSample(client, sql, inside);
  const name = `q.${ident(column.name)}`;
  const steps = Array.from({ length: ranges - 1 }, (_, i) => (i + 1) / ranges).join(', ');
  const { rows, values } = await rowOf<{ rows: number; values: string[] | null }>(
    client,
    sampleMs,
    `select count(*)::float8 / ${share} as rows,
            (percentile_disc(array[${steps}]::float8[]) within group (order by ${name}))::text[] as values
       from ${asSubselect(sql)} where ${inside} and ${name} is not null and pg_catalog.random() < ${share}`,
  );
  return { rows, values: values ?? [] };
}

async function shareToSample(client: Client, sql: string, inside: string): Promise<number> {
  const [row] = await rowsOf<{ 'QUERY PLAN': { Plan: { 'Plan Rows': number } }[] }>(
    client,
    shortMs,
    `explain (format json) select from ${asSubselect(sql)} where ${inside}`,
  );
  const estimate = row?.['QUERY PLAN'][0]?.Plan['Plan Rows'] ?? 0;
  return Math.min(1, sampleRows / Math.max(estimate, 1));
}
