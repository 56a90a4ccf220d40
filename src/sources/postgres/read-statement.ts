/**
 * The statement that reads a partition: the user's query as a sub-select, the cursor's window and the key to go on
 * after as literals, rows in key order. Ordering and comparing happen here only, in the source, by each column's own
 * collation, so that its indexes serve.
 */
import type { CursorWindow, PlannedCursor, ResultColumn } from '../../ports/source.ts';
import { ident, literal } from '../../postgres-client/quote.ts';

export interface ReadStatement {
  /** Parsed: one SELECT, no semicolon. */
  sql: string;
  columns: readonly ResultColumn[];
  key: readonly string[];
  after: readonly string[] | null;
  cursor: PlannedCursor | null;
  window: CursorWindow;
}

/** The query as `q`; the line feed ends a comment that it may end with. */
export const asSubselect = (sql: string): string => `(\n${sql}\n) as q`;

const column = (name: string): string => `q.${ident(name)}`;

/** `select … from (…) as q where … order by …` */
export function readStatement(read: ReadStatement): string {
  const typeOf = (name: string): string => read.columns.find((each) => each.name === name)!.typeName;
  const conditions = [
    ...(read.cursor ? [inWindow(read.cursor, read.window, typeOf(read.cursor.column))] : []),
    ...(read.after ? [afterKey(read.key, read.after, typeOf)] : []),
  ];
  const where = conditions.length > 0 ? `\nwhere ${conditions.join('\n  and ')}` : '';
  const order = read.key.length > 0 ? `\norder by ${read.key.map(column).join(', ')}` : '';
  return `select ${read.columns.map(printed).join(', ')} from ${asSubselect(read.sql)}${where}${order}`;
}

/** xml prints itself without its default declaration; as text it is what was stored. */
const printedAs: Readonly<Record<string, string>> = { xml: '::text', 'xml[]': '::text[]' };

const printed = ({ name, typeName }: ResultColumn): string => column(name) + (printedAs[typeName] ?? '');

function afterKey(
  key: readonly string[],
  after: readonly string[],
  typeOf: (name: string) => string,
): string {
  const values = key.map((name, i) => `${literal(after[i]!)}::${typeOf(name)}`);
  return `(${key.map(column).join(', ')}) > (${values.join(', ')})`;
}

/** (low, high], and rows without a cursor if every load reads them. */
function inWindow(cursor: PlannedCursor, { low, high }: CursorWindow, typeName: string): string {
  const name = column(cursor.column);
  const lookback = cursor.lookbackMs > 0 ? ` - interval '${cursor.lookbackMs} milliseconds'` : '';
  const bounds = [
    ...(low === null ? [] : [`${name} > ${literal(low)}::${typeName}${lookback}`]),
    high === null ? 'false' : `${name} <= ${literal(high)}::${typeName}`,
  ].join(' and ');
  return cursor.nulls === 'read' ? `(${bounds} or ${name} is null)` : `(${bounds})`;
}
