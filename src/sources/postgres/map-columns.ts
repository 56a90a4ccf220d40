/**
 * The columns of a query as they are to arrive: renamed, left out, cast or hashed by the source, so that the bytes of the
 * rows pass through. It is one more sub-select, which Postgres flattens: an index under a column that is only renamed
 * serves as before.
 */
import type { ColumnMapping } from '../../domain/column-mapping-spec.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { MappedColumn } from '../../ports/source.ts';
import { ident } from '../../postgres-client/quote.ts';

/** What each column of the query becomes, in its order. BAD_REQUEST for a column that the query does not have. */
export function resolveMapping(names: readonly string[], mapping: ColumnMapping): MappedColumn[] {
  const { omit = [], hash = [] } = mapping;
  const rename = new Map(Object.entries(mapping.rename ?? {}));
  const cast = new Map(Object.entries(mapping.cast ?? {}));
  const named = [
    ...[...rename.keys()].map((name) => [name, `rename/${name}`] as const),
    ...omit.map((name, i) => [name, `omit/${i}`] as const),
    ...[...cast.keys()].map((name) => [name, `cast/${name}`] as const),
    ...hash.map((name, i) => [name, `hash/${i}`] as const),
  ];
  for (const [name, where] of named)
    if (!names.includes(name))
      throw new PenstockError('BAD_REQUEST', `The query has no column ${name}.`, {
        pointer: `/columns/${where}`,
      });
  return names
    .filter((name) => !omit.includes(name))
    .map((from) => ({
      name: rename.get(from) ?? from,
      from,
      ...(cast.has(from) && { cast: cast.get(from)! }),
      ...(hash.includes(from) && { hash: true as const }),
    }));
}

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
