/**
 * Fills in a query's placeholders with typed literals that are quoted here: a value cannot become anything but a value. A
 * placeholder may stand where PostgreSQL's own parser accepts a parameter, so never inside quotes, names or comments.
 */
import { PenstockError } from '../../domain/errors.ts';
import { placeholderNames, placeholdersIn, replacePlaceholders } from '../../domain/placeholders.ts';
import type { PlaceholderName } from '../../domain/placeholders.ts';
import type { CursorWindow, MappedColumn, PlannedCursor, ResultColumn } from '../../ports/source.ts';
import { literal } from '../../postgres-client/quote.ts';
import { mapColumns } from './map-columns.ts';
import { parseSql } from './sql-parser.ts';
import { parseQuery, type ParsedQuery } from './parse-query.ts';

/** A query with what its placeholders stand for and what becomes of its columns. */
export interface OpenQuery {
  query: string;
  columns: readonly ResultColumn[];
  cursor: PlannedCursor | null;
  window: CursorWindow;
  runTime?: string | undefined;
  mapping?: readonly MappedColumn[] | undefined;
}

/** What the placeholders stand for. */
export interface QueryValues {
  /** Of the cursor's column, as SQL writes it; null without a cursor. */
  cursorType: string | null;
  lookbackMs: number;
  window: CursorWindow;
  /** The source's clock when the load was planned; needed by {{run_time}} only. */
  runTime: string | undefined;
}

/** A type that a cursor may have whose query has placeholders. Its ends are the window's where a load has none. */
interface CursorType {
  oid: number;
  least: string;
  /** Text has none. */
  greatest?: string;
  isTime?: boolean;
}

const time = (oid: number): CursorType => ({ oid, least: '-infinity', greatest: 'infinity', isTime: true });
const integer = (oid: number, bits: bigint): CursorType => ({
  oid,
  least: String(-(2n ** (bits - 1n))),
  greatest: String(2n ** (bits - 1n) - 1n),
});
const number = (oid: number): CursorType => ({ oid, least: '-Infinity', greatest: 'NaN' });

/** By name as SQL writes it; OIDs of pg_type.dat. */
export const cursorTypes: Readonly<Record<string, CursorType>> = {
  'timestamp with time zone': time(1184),
  'timestamp without time zone': time(1114),
  date: time(1082),
  bigint: integer(20, 64n),
  integer: integer(23, 32n),
  smallint: integer(21, 16n),
  numeric: number(1700),
  'double precision': number(701),
  real: number(700),
  text: { oid: 25, least: '' },
  'character varying': { oid: 1043, least: '' },
  uuid: { oid: 2950, least: '0'.repeat(32), greatest: 'f'.repeat(32) },
};

/** Without length, scale or precision, into which the ends of a type may not fit. */
const unmodified = (typeName: string): string => typeName.replace(/\(.*?\)/, '');

/** Fills in the query of a load, parses it, and maps its columns. */
export async function parseFilled(request: OpenQuery): Promise<ParsedQuery> {
  const { query, columns, cursor, window, runTime, mapping } = request;
  await checkPlaces(query);
  const cursorType = columns.find((column) => column.name === cursor?.column)?.typeName ?? null;
  const lookbackMs = cursor?.lookbackMs ?? 0;
  const parsed = await parseQuery(fillIn(query, { cursorType, lookbackMs, window, runTime }));
  return { ...parsed, sql: mapColumns(parsed.sql, mapping) };
}

/** BAD_REQUEST for a placeholder that does not suit the cursor's type, which must be one of `cursorTypes`. */
export const fillIn = (query: string, values: QueryValues): string =>
  replacePlaceholders(query, (name) =>
    name === 'run_time' ? typed(values.runTime!, 'timestamp with time zone') : ofWindow(name, values),
  );

const typed = (value: string, typeName: string): string => `(${literal(value)}::${typeName})`;

function ofWindow(
  name: Exclude<PlaceholderName, 'run_time'>,
  { cursorType, lookbackMs, window }: QueryValues,
): string {
  const type = unmodified(cursorType!);
  const { least, greatest, isTime = false } = cursorTypes[type]!;
  if (name === 'last_sync_time' && !isTime)
    throw unfit('{{last_sync_time}} is a time, and the cursor is not: use {{cursor}}');
  const value = name === 'window.to' ? (window.high ?? greatest) : (window.low ?? least);
  if (value === undefined) throw unfit(`{{${name}}} has no value for a cursor of type ${type}`);
  const looksBack = name === 'window.from' && window.low !== null && lookbackMs > 0;
  return looksBack ? `(${typed(value, type)} - interval '${lookbackMs} milliseconds')` : typed(value, type);
}

export const unfit = (what: string): PenstockError =>
  new PenstockError('BAD_REQUEST', `${what}.`, { pointer: '/source/query' });

/** QUERY_NOT_ALLOWED for a placeholder where no value can stand. */
export async function checkPlaces(query: string): Promise<void> {
  const names = placeholdersIn(query);
  if (!query.includes('{{')) return;
  let count = 0;
  const asParameters = replacePlaceholders(query, () => `$${++count}`);
  const found = new Set<number>();
  try {
    collectParameters(await parseSql(asParameters), found);
  } catch {
    if (!asParameters.includes('{{')) return; // An error of the query itself: whoever parses it says where.
    const known = placeholderNames.map((name) => `{{${name}}}`).join(', ');
    throw misplaced(`The query has a syntax error. The placeholders are ${known}`);
  }
  const missing = names.find((_, i) => !found.has(i + 1));
  if (missing !== undefined)
    throw misplaced(
      `{{${missing}}} stands inside quotes, a name or a comment. Write it where a value stands; it is quoted for you`,
    );
}

const misplaced = (what: string): PenstockError =>
  new PenstockError('QUERY_NOT_ALLOWED', `${what}.`, { pointer: '/source/query' });

function collectParameters(tree: unknown, found: Set<number>): void {
  const pending = [tree];
  while (pending.length > 0) {
    const node = pending.pop();
    if (typeof node !== 'object' || node === null) continue;
    if ('ParamRef' in node) found.add((node.ParamRef as { number: number }).number);
    pending.push(...(Object.values(node) as unknown[]));
  }
}
