/** The rows of a query, to be compared with those of a target: the part of them that its loads have read. */
import type { Client } from 'pg';
import type { ComparedRows, SourceRows } from '../../ports/comparison.ts';
import { listRows, sumBuckets, type ComparedRelation } from '../../postgres-client/compare-statements.ts';
import { ident, literal } from '../../postgres-client/quote.ts';
import { parseFilled, type OpenQuery } from './placeholders.ts';
import { asSubselect, inWindow, typesOf } from './read-statement.ts';
import { withSource, type SourceContext } from './source-session.ts';

export function comparedRows(context: SourceContext, rows: SourceRows): ComparedRows {
  const relation = async (): Promise<ComparedRelation> => ({
    from: asSubselect((await parseFilled(filledFor(rows))).sql),
    where: [...dueBy(rows), ...notBuried(rows)],
    columns: rows.columns,
    key: rows.key,
  });
  const asking = async <T>(
    signal: AbortSignal,
    question: (client: Client, from: ComparedRelation) => Promise<T>,
  ): Promise<T> => {
    const from = await relation();
    try {
      return await withSource(context, 'Comparing the source', (client) => question(client, from));
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    }
  };
  return {
    sumBuckets: (part, signal) => asking(signal, (client, from) => sumBuckets(client, from, part, signal)),
    listRows: (part, buckets, signal) =>
      asking(signal, (client, from) => listRows(client, from, { part, buckets }, signal)),
  };
}

/** All windows together: from the beginning to the end of this one, or to whatever there is. */
const filledFor = ({ window, which, ...query }: SourceRows): OpenQuery => ({
  ...query,
  window: { low: null, high: which === 'loaded' ? window.high : null },
});

function notBuried({ deletedWhen }: SourceRows): string[] {
  if (!deletedWhen) return [];
  return [`q.${ident(deletedWhen.column)} is ${deletedWhen.isBoolean ? 'not true' : 'null'}`];
}

function dueBy({ cursor, window, columns, which }: SourceRows): string[] {
  if (!cursor) return which === 'loaded' ? [] : ['false'];
  const { typeName } = columns.find((column) => column.name === cursor.column)!;
  if (which === 'loaded') return [inWindow(cursor, { low: null, high: window.high }, typesOf(columns))];
  return window.high === null ? [] : [`q.${ident(cursor.column)} > ${literal(window.high)}::${typeName}`];
}
