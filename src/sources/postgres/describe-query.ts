/** The columns of a query as the server names and types them; no row is read. */
import type { Client, FieldDef } from 'pg';
import { resolveMapping } from '../../copy/resolve-mapping.ts';
import type { ColumnMapping } from '../../domain/column-mapping-spec.ts';
import { placeholdersIn } from '../../domain/placeholders.ts';
import { rowOf, runAll, withDeadline } from '../../postgres-client/query.ts';
import type { MappedColumn } from '../../ports/source.ts';
import { mapColumns } from './map-columns.ts';
import { parseQuery, type ParsedQuery } from './parse-query.ts';
import { checkPlaces, cursorTypes, fillIn, unfit } from './placeholders.ts';
import { asSubselect } from './read-statement.ts';
import { shortMs } from './source-session.ts';

interface DescribeRequest {
  query: string;
  cursor: string | null;
  columns?: ColumnMapping | undefined;
  mapping?: readonly MappedColumn[] | undefined;
}

export interface DescribedQuery {
  parsed: ParsedQuery;
  fields: readonly FieldDef[];
  mapping?: readonly MappedColumn[];
  /** The source's clock, as text. */
  now: string;
}

/** Describes the query; its placeholders are filled in as for a first load, its columns mapped. */
export async function describeQuery(
  client: Client,
  { query, cursor, columns, mapping: known }: DescribeRequest,
): Promise<DescribedQuery> {
  await checkPlaces(query);
  const { now } = await rowOf<{ now: string }>(client, shortMs, 'select pg_catalog.now()::text as now');
  const describeAs = async (cursorType: string | null): Promise<DescribedQuery> => {
    const window = { low: null, high: null };
    const parsed = await parseQuery(fillIn(query, { cursorType, lookbackMs: 0, window, runTime: now }));
    const fields = await fieldsOf(client, parsed.sql);
    const names = fields.map((field) => field.name);
    const mapping = known ?? (columns && resolveMapping(names, columns));
    if (!mapping) return { parsed, fields, now };
    const sql = mapColumns(parsed.sql, mapping);
    return { parsed: { ...parsed, sql }, fields: await fieldsOf(client, sql), mapping, now };
  };
  const dependsOnCursor = placeholdersIn(query).some((name) => name !== 'run_time');
  return dependsOnCursor ? findType(client, describeAs, cursor!) : describeAs(null);
}

async function fieldsOf(client: Client, sql: string): Promise<readonly FieldDef[]> {
  const text = `select * from ${asSubselect(sql)} limit 0`;
  const request = { text, rowMode: 'array' as const, queryMode: 'extended' };
  return (await withDeadline(client, shortMs, client.query(request))).fields;
}

/** What the server says to an expression of the wrong type: operator, function, cast, assignment, ambiguity, range. */
const wrongType = /^(42883|42846|42804|42725|22...)$/;

/**
 * The type of the cursor's column is known once the query is described, and describing needs literals of that type: so
 * each type is tried, and the one that comes out as it went in is right.
 */
async function findType(
  client: Client,
  describeAs: (cursorType: string) => Promise<DescribedQuery>,
  cursor: string,
): Promise<DescribedQuery> {
  let firstError: unknown;
  let isDescribed = false;
  for (const [name, { oid }] of Object.entries(cursorTypes)) {
    await runAll(client, 'savepoint trial', shortMs);
    try {
      const described = await describeAs(name);
      isDescribed = true;
      const field = described.fields.find((each) => each.name === cursor);
      if (!field || field.dataTypeID === oid) return described;
    } catch (error) {
      const { code = '' } = error as { code?: string };
      if (!wrongType.test(code)) throw error;
      firstError ??= error;
      await runAll(client, 'rollback to savepoint trial', shortMs);
    }
  }
  if (!isDescribed) throw firstError;
  throw unfit(`Placeholders need a cursor of one of these types: ${Object.keys(cursorTypes).join(', ')}`);
}
