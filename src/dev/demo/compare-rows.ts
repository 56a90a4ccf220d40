/**
 * Compares the result of a query in one database with the result of a query in another, row by row and both ways, in
 * SQL. What is compared is the complete text of each row, not a hash of it: every column, with all its digits.
 */
import { pipeline } from 'node:stream/promises';
import { Client } from 'pg';
import { from as copyFrom, to as copyTo } from 'pg-copy-streams';

/** The rows to compare: the same columns, in the same order, on both sides. */
export interface Comparison {
  /** URL and one SELECT of the source. */
  readonly source: { readonly url: string; readonly query: string };
  readonly destination: { readonly url: string; readonly query: string };
  /** Result columns that identify a row at the source: unique and never NULL there. */
  readonly key: readonly string[];
  /** Compares so many shares of the rows side by side, on connections of their own; 1 by default. */
  readonly parts?: number;
}

/** Counts of rows; all differences are zero exactly when both results hold the same rows, each as often. */
export interface Differences {
  readonly sourceRows: number;
  readonly destinationRows: number;
  /** At the source only. */
  readonly missing: number;
  /** At the destination only. */
  readonly extra: number;
  /** On both sides, with another text. */
  readonly different: number;
  /** Further rows at the destination with a key that is there already. */
  readonly duplicated: number;
  /** Keys of a few that are missing, extra or different, to look at. */
  readonly examples: readonly string[];
}

/** Whether nothing differs. */
export const isEqual = (found: Differences): boolean =>
  found.missing + found.extra + found.different + found.duplicated === 0;

/**
 * Ships the text of all source rows to temporary tables at the destination and joins the two there.
 * @throws the server's 23505 when the key is not unique at the source
 */
export async function compareRows(comparison: Comparison): Promise<Differences> {
  const parts = comparison.parts ?? 1;
  const found = await Promise.all(Array.from({ length: parts }, (_, part) => comparePart(comparison, part)));
  return found.reduce(addDifferences);
}

async function comparePart(comparison: Comparison, part: number): Promise<Differences> {
  const source = new Client({ connectionString: comparison.source.url });
  const destination = new Client({ connectionString: comparison.destination.url });
  try {
    await Promise.all([source.connect(), destination.connect()]);
    const columns = comparison.key.map((column) => `"${column.replaceAll('"', '""')}"`).join(', ');
    const wanted = withText(comparison.source.query, columns, comparison.parts ?? 1, part);
    const found = withText(comparison.destination.query, columns, comparison.parts ?? 1, part);
    await Promise.all([source.query(settings), destination.query(settings)]);
    await destination.query(`create temporary table wanted as ${found} with no data`);
    await pipeline(
      source.query(copyTo(`copy (${wanted}) to stdout (format binary)`)),
      destination.query(copyFrom('copy pg_temp.wanted from stdin (format binary)')),
    );
    await destination.query(`create unique index on pg_temp.wanted (${columns}); analyze pg_temp.wanted`);
    const { rows } = await destination.query<Differences>(joinSql(columns, found));
    return rows[0]!;
  } finally {
    await Promise.allSettled([source.end(), destination.end()]);
  }
}

/** How values become text, the same on both sides; and memory enough to hash a million rows. */
const settings = `
  set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'; set timezone = 'UTC'; set bytea_output = 'hex';
  set extra_float_digits = 3; set jit = off; set work_mem = '512MB'; set temp_buffers = '64MB'`;

const withText = (query: string, columns: string, parts: number, part: number): string =>
  `select ${columns}, r::text as row_text from (${query}) r` +
  (parts === 1 ? '' : ` where abs(hashtext(row(${columns})::text)::bigint) % ${parts} = ${part}`);

/**
 * Keys are unique at the source, so a key that comes k times at the destination joins k times: what joins beyond the
 * source's own rows is duplicated.
 */
const joinSql = (columns: string, found: string): string => `
  with joined as (
    select row(${columns}) as key, w.row_text as wanted, f.row_text as found
    from pg_temp.wanted w full join (${found}) f using (${columns})
  ), counted as (
    select
      (select count(*) from pg_temp.wanted) as wanted_rows,
      count(found) as found_rows,
      count(*) filter (where found is null) as missing,
      count(*) filter (where wanted is null) as extra,
      count(*) filter (where wanted collate "C" <> found) as different,
      count(*) filter (where wanted is not null and found is not null) as matched,
      (array_agg(key::text) filter (where wanted collate "C" is distinct from found))[1:5] as examples
    from joined
  )
  select wanted_rows::float8 as "sourceRows", found_rows::float8 as "destinationRows", missing::float8, extra::float8,
    different::float8, (matched - (wanted_rows - missing))::float8 as duplicated, coalesce(examples, '{}') as examples
  from counted`;

const addDifferences = (a: Differences, b: Differences): Differences => ({
  sourceRows: a.sourceRows + b.sourceRows,
  destinationRows: a.destinationRows + b.destinationRows,
  missing: a.missing + b.missing,
  extra: a.extra + b.extra,
  different: a.different + b.different,
  duplicated: a.duplicated + b.duplicated,
  examples: [...a.examples, ...b.examples].slice(0, 5),
});
