/** What a grant of the operator's connection covers: tables by a pattern, and of tables that are shared the rows of a scope. */
import { PenstockError } from './errors.ts';
import type { SyncSpec } from './sync-spec.ts';
import { scopeText, type TargetScope } from './target-scope-spec.ts';

/** `schema.table`, in which `*` stands for any characters of either name, and all others for themselves. */
export const tablePatternShape = /^[^."\0\p{Cs}]{1,63}\.[^."\0\p{Cs}]{1,63}$/u;

export interface GrantedTables {
  tablePattern: string;
  /** What every sync has to have in its scope. */
  scope: TargetScope;
}

type Writing = Pick<SyncSpec, 'scope' | 'keepPrevious'> & {
  destination: Pick<SyncSpec['destination'], 'table'>;
};

/** Why the grant does not cover a sync, with the member of the spec to change; null when it does. FORBIDDEN. */
export function findUngranted(
  { tablePattern, scope }: GrantedTables,
  { destination: { table }, scope: given = {}, keepPrevious = false }: Writing,
): PenstockError | null {
  const refuse = (message: string, pointer: string) => new PenstockError('FORBIDDEN', message, { pointer });
  // Where a bare name leads is settled by the login's search path, in the database.
  if (!table.includes('.'))
    return refuse(
      `name the table ${table} with its schema: the connection is the operator’s`,
      '/destination/table',
    );
  if (!matchesTable(tablePattern, table))
    return refuse(`table ${table} is outside of ${tablePattern}, which is granted`, '/destination/table');
  if (keepPrevious && !matchesTable(tablePattern, `${table}_previous`))
    return refuse(
      `the table before would be kept outside of ${tablePattern}, which is granted`,
      '/keepPrevious',
    );
  const other = Object.entries(scope).find(
    ([column, value]) => !Object.hasOwn(given, column) || scopeText(given[column]!) !== scopeText(value),
  );
  if (!other) return null;
  const [column, value] = other;
  return refuse(
    `rows are granted whose ${column} is ${JSON.stringify(value)}: say so in the scope`,
    `/scope/${column}`,
  );
}

/** Whether the pattern stands for the table, both with their schemas. */
export function matchesTable(pattern: string, table: string): boolean {
  const [parts, names] = [pattern.split('.'), table.split('.')];
  return parts.length === 2 && names.length === 2 && parts.every((part, i) => matchesName(part, names[i]!));
}

function matchesName(pattern: string, name: string): boolean {
  const [first = '', ...others] = pattern.split('*');
  const last = others.pop();
  if (last === undefined) return name === first;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  for (const part of others) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.endsWith(last) && name.length - last.length >= at;
}
