/** The table that a sync writes: found or created, owned, and fit for the result. */
import { checkScope } from '../../copy/plan-scope.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { LoadPlan, SchemaChange } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import { ident, identList } from '../../postgres-client/quote.ts';
import { asRole } from './as-role.ts';
import type { Sql } from './destination-session.ts';
import { checkFit, columnTypes, fitColumns, missingColumns, type Fitting } from './fit-columns.ts';
import { inspectTarget, presentIn, type InspectedTarget } from './inspect-target.ts';
import { hasKeyIndex } from './key-index.ts';
import type { LoadRow } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { holdOwnership, own, requireOwnership } from './ownership.ts';
import { scopeDdl, targetKey, writtenColumns } from './scoped.ts';
import { mismatch, qualifiedName } from './target-name.ts';

interface ClaimedTarget {
  relation: string;
  isEmpty: boolean;
  schemaChange: SchemaChange | null;
}

/**
 * Finds or creates the target and makes the sync an owner of it, in the caller's transaction. TARGET_OWNED,
 * TARGET_MISMATCH, SCHEMA_CHANGED.
 */
export async function claimTarget(
  sql: Sql,
  { sync, role }: { sync: SyncId; role: string | undefined },
  { plan, ...fitting }: Omit<Fitting, 'present'>,
): Promise<ClaimedTarget> {
  let target = await inspectTarget(sql, plan.target);
  const isOwner =
    target !== null && !isLacking(plan, target) && (await holdOwnership(sql, { sync, ...target }, plan));
  if (!isOwner) {
    // Serialises claims, so that two syncs cannot both find a table unowned, or both add a column to it. Only then it is known
    // what there is. Who waits here holds no lock on the target, and none on the row by which he owns it.
    await sql('lock table _penstock.target in share row exclusive mode');
    target = await inspectTarget(sql, plan.target);
  }
  const present = target && presentIn(target);
  if (!present) {
    for (const statement of await targetDdl(sql, plan)) await asRole(sql, role, () => sql(statement));
    target = await inspectTarget(sql, plan.target);
  }
  if (!target) throw mismatch(plan, 'is not a table');
  const { relation } = target;
  const checked = { sync, plan, ...fitting, target, present, prepared: true };
  for (const check of targetChecks(sql, checked)) await check();
  if (!isOwner) await own(sql, { sync, relation }, plan);
  // Only now: to look into a view is to run what somebody has put there.
  const isEmpty = (await sql(`select from ${qualifiedName(plan.target)} limit 1`)).length === 0;
  // Last: a table that is another sync's is not changed.
  const schemaChange = present && (await fitColumns(sql, { ...fitting, plan, present }, role));
  return { relation, isEmpty, schemaChange };
}

const isLacking = (plan: LoadPlan, target: InspectedTarget): boolean =>
  missingColumns({ plan, present: presentIn(target) ?? [] }).length > 0;

/** What the target of a load that is gone on with must still be, as when it was opened. TARGET_OWNED, TARGET_MISMATCH, SCHEMA_CHANGED. */
export async function recheckTarget(sql: Sql, { sync, plan }: LoadRow): Promise<void> {
  const target = await inspectTarget(sql, plan.target);
  if (!target) throw mismatch(plan, 'is not a table');
  const fitting = { plan, before: plan, onSchemaChange: 'fail' } as const;
  const checked = { sync, target, present: presentIn(target), prepared: true, ...fitting };
  for (const check of targetChecks(sql, checked)) await check();
}

export interface CheckedTarget extends Omit<Fitting, 'present'> {
  sync: SyncId;
  target: InspectedTarget;
  /** What it has of columns that a result may fill; null: it is made after the result. */
  present: readonly ResultColumn[] | null;
  /** There is a `_penstock`, hence owners. */
  prepared: boolean;
}

/** What the target must be, each by itself: a load is refused for the first that fails, a plan tells all that do. */
export function targetChecks(
  sql: Sql,
  { sync, target, present, prepared, ...fitting }: CheckedTarget,
): (() => void | Promise<void>)[] {
  const { plan } = fitting;
  const { relation, kind } = target;
  if (!['r', 'p'].includes(kind)) return [() => Promise.reject(mismatch(plan, 'is not a table'))];
  return [
    () => (present ? requireWritable(plan, target) : undefined),
    () => requireLogged(plan, target),
    () => requireKeyIndex(sql, plan, relation),
    () => requireDefaults(plan, target),
    () => void (present && checkScope(plan.scope ?? {}, present)),
    () => requireScopeCollation(plan, target),
    () => (prepared ? requireOwnership(sql, { sync, relation }, plan) : undefined),
    () => void (present && checkFit({ ...fitting, present })),
  ];
}

/**
 * After a crash of the server an unlogged table is empty, whatever checkpoints and cursor say of its rows. A replacement may
 * write one all the same: it reads all of them every time.
 */
function requireLogged(plan: LoadPlan, { isUnlogged }: InspectedTarget): void {
  const { staged, onlyAdds } = modeOf(plan);
  if (staged && !onlyAdds) return;
  if (isUnlogged)
    throw mismatch(
      plan,
      'is not logged: after a crash of the server it would be empty. Set it logged, or use mode replace',
    );
}

/** A merge needs a unique index on exactly the key. */
async function requireKeyIndex(sql: Sql, plan: LoadPlan, relation: string): Promise<void> {
  if (modeOf(plan).keyed && !(await hasKeyIndex(sql, relation, targetKey(plan))))
    throw mismatch(
      plan,
      `has no unique index on the key (${targetKey(plan).join(', ')}) with the collations of its columns`,
    );
}

/** A collation that takes different texts for equal would find rows of another scope. */
function requireScopeCollation(plan: LoadPlan, { columns }: InspectedTarget): void {
  const column = columns.find(({ name, isLoose }) => isLoose && Object.hasOwn(plan.scope ?? {}, name));
  if (column) throw mismatch(plan, `takes different texts of the column ${column.name} for equal`);
}

/** What the table fills in itself cannot be written; a merge cannot write an identity either. */
function requireWritable(plan: LoadPlan, { columns }: InspectedTarget): void {
  const written = columns.filter(({ name }) => writtenColumns(plan).includes(name));
  const generated = written.find(({ isGenerated }) => isGenerated);
  if (generated) throw mismatch(plan, `computes the column ${generated.name}: leave it out of the query`);
  const identity = modeOf(plan).keyed && written.find(({ isIdentity }) => isIdentity);
  if (identity)
    throw mismatch(
      plan,
      `gives the column ${identity.name} its values itself: make it "generated by default", or leave it out of the query`,
    );
}

/** Columns that the result does not fill must be able to fill themselves. */
function requireDefaults(plan: LoadPlan, { columns }: InspectedTarget): void {
  const column = columns.find(({ name, needsValue }) => needsValue && !writtenColumns(plan).includes(name));
  if (column)
    throw mismatch(plan, `needs a value for the column ${column.name}, which the result does not have`);
}

/** The statements that make it; columns take the source's types. */
export async function targetDdl(sql: Sql, plan: LoadPlan): Promise<string[]> {
  const written = plan.columns.filter(({ name }) => name !== plan.deletedWhen?.column);
  const columns = await columnTypes(sql, written);
  const marker = plan.softDelete ? [`${ident(plan.softDelete.column)} timestamp with time zone`] : [];
  const key = modeOf(plan).keyed ? [`primary key (${identList(targetKey(plan))})`] : [];
  const { schema } = plan.target;
  const there = await sql('select from pg_namespace where nspname = $1', [schema]);
  return [
    // Asked for although it is there, it would take the right to make one.
    ...(there.length > 0 ? [] : [`create schema if not exists ${ident(schema)}`]),
    `create table ${qualifiedName(plan.target)} (${[...scopeDdl(plan), ...columns, ...marker, ...key].join(', ')})`,
  ];
}
