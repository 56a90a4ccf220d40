/** A spec's column mapping, applied to the columns that a query has; the same for every source, which then makes them. */
import type { ColumnMapping } from '../domain/column-mapping-spec.ts';
import { PenstockError } from '../domain/errors.ts';
import type { MappedColumn } from '../ports/source.ts';

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
