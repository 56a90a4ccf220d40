/**
 * The statement that reads a partition: the user's query as a sub-select, the cursor's window and the key to go on
 * after as literals, rows in key order. Ordering and comparing happen here only, in the source, by each column's own
 * collation, so that its indexes serve.
 */
import type {
  CursorWindow,
  KeyAgain,
  KeyText,
  PartitionBounds,
  PlannedCursor,
  ResultColumn,
} from '../../ports/source.ts';
import { printed } from '../../postgres-client/print-column.ts';
import { ident, literal } from '../../postgres-client/quote.ts';

export interface ReadStatement {
  /** Parsed: one SELECT, no semicolon. */
  sql: string;
  columns: readonly ResultColumn[];
  key: readonly string[];
  after: KeyText | null;
  bounds: PartitionBounds;
  cursor: PlannedCursor | null;
  window: CursorWindow;
}

/** The query as `q`; the line feed ends a comment that it may end with. */
export const asSubselect = (sql: string): string => `(\n${sql}\n) as q`;

const column = (name: string): string => `q.${ident(name)}`;

/** `select … from (…) as q where … order by …` */
export function readStatement(read: ReadStatement): string {
  const typeOf = typesOf(read.columns);
  const conditions = [
    ...(read.cursor ? [inWindow(read.cursor, read.window, typeOf)] : []),
    ...inBounds(read, typeOf),
    ...(read.after ? [afterKey(read.key, read.after, typeOf)] : []),
  ];
  const where = conditions.length > 0 ? `\nwhere ${conditions.join('\n  and ')}` : '';
  const order = read.key.length > 0 ? `\norder by ${read.key.map(column).join(', ')}` : '';
  return `select ${read.columns.map(({ name, typeName }) => printed(column(name), typeName)).join(', ')} from ${asSubselect(read.sql)}${where}${order}`;
}

/** As SQL writes the type of a column. */
type TypeOf = (name: string) => string;

export const typesOf =
  (columns: readonly ResultColumn[]): TypeOf =>
  (name) =>
    columns.find((each) => each.name === name)!.typeName;

/** In (after, upTo] by the first key column; with, or without, a NULL in the key. */
function inBounds({ key, bounds }: ReadStatement, typeOf: TypeOf): string[] {
  const { after, upTo, nulls } = bounds;
  const first = key[0]!;
  const beside = (operator: string, value: string): string =>
    `${column(first)} ${operator} ${literal(value)}::${typeOf(first)}`;
  return [
    ...(after === undefined ? [] : [beside('>', after)]),
    ...(upTo === undefined ? [] : [beside('<=', upTo)]),
    ...(nulls === 'none' ? key.map((name) => `${column(name)} is not null`) : []),
    ...(nulls === 'only' ? [`(${key.map((name) => `${column(name)} is null`).join(' or ')})`] : []),
  ];
}

/** One comparison of rows, which an index serves; with NULLs, which sort last, it has to be spelled out. */
function afterKey(key: readonly string[], after: KeyText, typeOf: TypeOf): string {
  const value = (i: number): string => `${literal(after[i]!)}::${typeOf(key[i]!)}`;
  if (!after.includes(null))
    return `(${key.map(column).join(', ')}) > (${key.map((_, i) => value(i)).join(', ')})`;
  const greater = key.flatMap((name, i) => {
    if (after[i] === null) return [];
    const sameBefore = key.slice(0, i).map((each, j) => isSame(each, after[j] === null ? null : value(j)));
    return [
      `(${[...sameBefore, `(${column(name)} > ${value(i)} or ${column(name)} is null)`].join(' and ')})`,
    ];
  });
  return greater.length === 0 ? 'false' : `(${greater.join(' or ')})`;
}

const isSame = (name: string, value: string | null): string =>
  value === null ? `${column(name)} is null` : `${column(name)} = ${value}`;

/** (low, high], what is read again of the rows below, and rows without a cursor if every load reads them. */
export function inWindow(
  cursor: PlannedCursor,
  { low, high, again = [] }: CursorWindow,
  typeOf: TypeOf,
): string {
  const name = column(cursor.column);
  const value = (text: string): string => `${literal(text)}::${typeOf(cursor.column)}`;
  const lookback = cursor.lookbackMs > 0 ? ` - interval '${cursor.lookbackMs} milliseconds'` : '';
  const above = low === null ? [] : [`${name} > ${value(low)}${lookback}`, ...again.map(isAgain)];
  const bounds = [
    ...(above.length === 0 ? [] : [`(${above.join(' or ')})`]),
    high === null ? 'false' : `${name} <= ${value(high)}`,
  ].join(' and ');
  return cursor.nulls === 'read' ? `(${bounds} or ${name} is null)` : `(${bounds})`;

  function isAgain({ key, low: since }: KeyAgain): string {
    const same = Object.entries(key).map(([each, text]) =>
      isSame(each, text === null ? null : `${literal(text)}::${typeOf(each)}`),
    );
    return [...same, ...(since === null ? [] : [`${name} > ${value(since)}`])].join(' and ');
  }
}
