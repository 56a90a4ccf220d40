/** A plan's scope in SQL: the columns that it adds to rows and key, and the rows of the target that are the sync's. */
import { scopeText } from '../../domain/target-scope-spec.ts';
import type { LoadPlan } from '../../ports/destination.ts';
import { ident, literal } from '../../postgres-client/quote.ts';
import { qualifiedName } from './target-name.ts';

interface Scoped {
  scope?: LoadPlan['scope'] | undefined;
}

const namesOf = ({ scope = {} }: Scoped): string[] => Object.keys(scope);

/** The target's columns that tell its rows apart. */
export const targetKey = (plan: Scoped & Pick<LoadPlan, 'key'>): string[] => [...namesOf(plan), ...plan.key];

/** The target's columns that the load writes. */
export const writtenColumns = (plan: Scoped & Pick<LoadPlan, 'columns'>): string[] => [
  ...namesOf(plan),
  ...plan.columns.map(({ name }) => name),
];

/** The scope's columns with their values, quoted; a literal takes the type of what it is assigned to. */
export const scopeEntries = ({ scope = {} }: Scoped): { column: string; value: string }[] =>
  Object.entries(scope).map(([name, value]) => ({ column: ident(name), value: literal(scopeText(value)) }));

/** For `insert into … (into) select values`: the scope's columns, and these of the rows. */
export function withScope(plan: Scoped, names: readonly string[]): { into: string; values: string } {
  const entries = scopeEntries(plan);
  const columns = names.map(ident);
  return {
    into: [...entries.map(({ column }) => column), ...columns].join(', '),
    values: [...entries.map(({ value }) => value), ...columns].join(', '),
  };
}

/**
 * Inserts all rows of another table into the target. The result's columns only, as COPY would: what it does not fill is the
 * target's own, and what it does is taken as it is, also for an identity column.
 */
export function insertAll(plan: LoadPlan, from: string): string {
  const { into, values } = withScope(
    plan,
    plan.columns.map(({ name }) => name),
  );
  return `insert into ${qualifiedName(plan.target)} (${into}) overriding system value select ${values} from ${from}`;
}

/** Their definitions in a table that is made. */
export const scopeDdl = ({ scope = {} }: Scoped): string[] =>
  Object.entries(scope).map(([name, value]) => {
    const type = { string: 'text', number: 'bigint', boolean: 'boolean' }[
      typeof value as 'string' | 'number' | 'boolean'
    ];
    return `${ident(name)} ${type} not null`;
  });

/**
 * "The row of the target is the sync's"; never NULL for a row that is. By pg_catalog's equality, whatever the search path:
 * a column that has become citext since would else find rows of others.
 */
export const inScope = (alias: string, plan: Scoped): string =>
  scopeEntries(plan)
    .map(({ column, value }) => `${alias}.${column} operator(pg_catalog.=) ${value}`)
    .join(' and ') || 'true';
