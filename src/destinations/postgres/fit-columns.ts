/**
 * Whether a table can hold a result: every column of the result has one there that keeps each of its values unchanged. What
 * no longer fits that once did is told as a change; a column that the table has not may be added to it.
 */
import { PenstockError } from '../../domain/errors.ts';
import { findMisfits } from '../../copy/column-fit.ts';
import type { LoadPlan, OnSchemaChange, SchemaChange } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import { ident } from '../../postgres-client/quote.ts';
import { asRole } from './as-role.ts';
import type { Sql } from './destination-session.ts';
import { orTargetLocked } from './target-locked.ts';
import { mismatch, qualifiedName } from './target-name.ts';

export interface Fitting {
  plan: LoadPlan;
  /** The table's columns now. */
  present: readonly ResultColumn[];
  /** The plan of the sync's last load into this table that was finished. */
  before: LoadPlan | null;
  onSchemaChange: OnSchemaChange;
}

/** Adds what is missing if that is allowed. TARGET_MISMATCH; SCHEMA_CHANGED where it did fit before. */
export async function fitColumns(sql: Sql, fitting: Fitting, role?: string): Promise<SchemaChange | null> {
  const { missing, gone } = checkFit(fitting);
  requirePlannedTypes(fitting);
  if (missing.length > 0) await addColumns(sql, fitting.plan, missing, role);
  return missing.length + gone.length === 0 ? null : { added: missing.map(({ name }) => name), gone };
}

/**
 * Binary rows were chosen for columns of the very types that the result has. Where one has another type by now, even one that
 * would keep the values, its bytes would mean others: CURSOR_MOVED, so that the load is planned anew.
 */
function requirePlannedTypes({ plan, present }: Fitting): void {
  if (plan.format !== 'binary') return;
  const changed = plan.columns.find(({ name, typeOid }) =>
    present.some((there) => there.name === name && there.typeOid !== typeOid),
  );
  if (!changed) return;
  const { schema, table } = plan.target;
  const message = `The column ${changed.name} of ${schema}.${table} got another type while the load was planned.`;
  throw new PenstockError('CURSOR_MOVED', message);
}

/** What fitting would add, and which columns are filled no more. Refuses as `fitColumns` does. */
export function checkFit(fitting: Fitting): { missing: ResultColumn[]; gone: string[] } {
  const { plan, present, before, onSchemaChange } = fitting;
  const adds = onSchemaChange === 'add_columns';
  const missing = missingColumns(fitting);
  const there = plan.columns.filter(({ name }) => present.some((each) => each.name === name));
  const gone = goneColumns(fitting);
  const addable = adds && missing.every(({ name }) => !plan.key.includes(name));
  const faults = [
    ...(addable ? [] : missing.map((column) => lack(column, before))),
    ...findMisfits(there, present),
    ...(adds || !before || isEdited(plan, before)
      ? []
      : gone.map((name) => `the result has no column ${name} any more`)),
  ];
  if (faults.length > 0) throw before ? changed(plan, faults) : mismatch(plan, faults.join('; it '));
  return { missing, gone };
}

/** Columns of the result that the table has not. What only says that a row is gone need not be kept. */
export const missingColumns = ({ plan, present }: Pick<Fitting, 'plan' | 'present'>): ResultColumn[] =>
  plan.columns.filter(
    ({ name }) => name !== plan.deletedWhen?.column && !present.some((each) => each.name === name),
  );

/** The user has said anew which columns there are to be. The mapping alone may also follow the columns of the source. */
const isEdited = (plan: LoadPlan, before: LoadPlan): boolean =>
  plan.query !== before.query ||
  (plan.syncVersion !== before.syncVersion &&
    JSON.stringify(plan.mapping) !== JSON.stringify(before.mapping));

/** Columns of the table that the result filled before, and fills no more. */
const goneColumns = ({ plan, before, present }: Fitting): string[] =>
  (before?.columns ?? [])
    .map(({ name }) => name)
    .filter((name) => !plan.columns.some((each) => each.name === name))
    .filter((name) => present.some((each) => each.name === name));

function lack({ name, typeName }: ResultColumn, before: LoadPlan | null): string {
  if (!before) return `has no column ${name}`;
  const wasThere = before.columns.some((each) => each.name === name);
  return wasThere
    ? `the table has no column ${name} any more`
    : `the result has a new column ${name} (${typeName})`;
}

const changed = ({ target }: LoadPlan, faults: readonly string[]): PenstockError =>
  new PenstockError(
    'SCHEMA_CHANGED',
    `The query and the table ${target.schema}.${target.table} do not fit any more: ${faults
      .map((fault) => (fault.startsWith('has ') ? `the table ${fault}` : fault))
      .join('; ')}.`,
    { pointer: '/onSchemaChange' },
  );

/** How long readers of the table may wait behind the lock that a new column needs. */
const readersWaitMs = 1_000;
/** How long its writers may: longer than a batch of theirs takes, so that however many they are, all come to an end. */
const writersWaitMs = 8_000;

/**
 * Nullable, as the rows that are there have no value for them. A type that is not known here becomes text. Others may be
 * writing the table, and are not ended for it: they are kept out first, and readers only then. TARGET_LOCKED.
 */
async function addColumns(
  sql: Sql,
  plan: LoadPlan,
  columns: readonly ResultColumn[],
  role: string | undefined,
): Promise<void> {
  const [{ before } = { before: '' }] = await sql<{ before: string }>(
    `select current_setting('lock_timeout') as before`,
  );
  const waitAtMost = (time: string) => sql(`select set_config('lock_timeout', $1, true)`, [time]);
  const ddl = await addingDdl(sql, plan, columns);
  await orTargetLocked(sql, plan.target, 'altered', () =>
    asRole(sql, role, async () => {
      await waitAtMost(`${writersWaitMs}ms`);
      await sql(`lock table ${qualifiedName(plan.target)} in share row exclusive mode`);
      await waitAtMost(`${readersWaitMs}ms`);
      await sql(ddl);
    }),
  );
  await waitAtMost(before);
}

/** The statement that adds columns. */
export async function addingDdl(
  sql: Sql,
  { target }: LoadPlan,
  columns: readonly ResultColumn[],
): Promise<string> {
  const added = (await columnTypes(sql, columns)).map((column) => `add column ${column}`).join(', ');
  return `alter table ${qualifiedName(target)} ${added}`;
}

/**
 * Columns as they are written in a definition. A type that is not known here becomes text, which holds any value as it is
 * printed. So does a table's row type: a column of it would keep whoever owns that table from changing it.
 */
export async function columnTypes(sql: Sql, columns: readonly ResultColumn[]): Promise<string[]> {
  const known = await sql<{ name: string; known: boolean }>(
    `select n.name, t.oid is not null and not exists (select from pg_class c
            where c.oid in (t.typrelid, element.typrelid) and c.relkind <> 'c') as known
       from unnest($1::text[]) as n(name)
       left join pg_type t on t.oid = to_regtype(n.name)
       left join pg_type element on element.oid = t.typelem`,
    [columns.map((column) => column.typeName)],
  );
  const isKnown = new Set(known.filter((type) => type.known).map((type) => type.name));
  return columns.map(({ name, typeName }) => `${ident(name)} ${isKnown.has(typeName) ? typeName : 'text'}`);
}
