/**
 * The columns of a query as they are to arrive: renamed, left out, cast or hashed by the source, so that the bytes of the
 * rows pass through. It is one more sub-select, which Postgres flattens: an index under a column that is only renamed
 * serves as before.
 */
import type { MappedColumn } from '../../ports/source.ts';
import { ident } from '../../postgres-client/quote.ts';

/** The query, or one around it that maps its columns. */
export function mapColumns(sql: string, mapping: readonly MappedColumn[] | undefined): string {
  if (mapping === undefined) return sql;
  const columns = mapping.map((column) => `${expressionOf(column)} as ${ident(column.name)}`);
  return `select ${columns.join(', ')} from (\n${sql}\n) as m`;
}

function expressionOf({ from, cast, hash }: MappedColumn): string {
  const column = `m.${ident(from)}`;
  if (hash)
    return `pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(${column}::text, 'UTF8')), 'hex')`;
  return cast === undefined ? column : `${column}::${cast}`;
}
