/** The table that a sync writes: found or created, owned, and fit for the result. */
import { checkScope } from '../../copy/plan-scope.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { LoadPlan, SchemaChange } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import { ident, identList } from '../../postgres-client/quote.ts';
import { asRole } from './as-role.ts';
import type { Sql } from './destination-session.ts';
import { describeTarget } from './describe-target.ts';
import { checkFit, columnTypes, fitColumns, type Fitting } from './fit-columns.ts';
import { hasKeyIndex } from './key-index.ts';
import type { LoadRow } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { own, requireOwnership } from './ownership.ts';
import { scopeDdl, targetKey, writtenColumns } from './scoped.ts';
import { mismatch, qualifiedName } from './target-name.ts';

interface ClaimedTarget {
  relation: string;
  isEmpty: boolean;
  schemaChange: SchemaChange | null;
}

interface RelationFacts {
  relation: string;
  kind: string;
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
  const name = qualifiedName(plan.target);
  // Serialises claims, so that two syncs cannot both find a table unowned.
  await sql('lock table _penstock.target in share row exclusive mode');
  const { columns } = await describeTarget(sql, plan.target);
  const ddl = columns === null ? await targetDdl(sql, plan) : [];
  for (const statement of ddl) await asRole(sql, role, () => sql(statement));
  const [facts] = await sql<RelationFacts>(
    'select oid::text as relation, relkind as kind from pg_class where oid = to_regclass($1)',
    [name],
  );
  if (!facts) throw mismatch(plan, 'is not a table');
  const checked = { sync, plan, ...fitting, ...facts, columns, prepared: true };
  for (const check of targetChecks(sql, checked)) await check();
  await own(sql, { sync, relation: facts.relation }, plan);
  // Only now: to look into a view is to run what somebody has put there.
  const isEmpty = (await sql(`select from ${name} limit 1`)).length === 0;
  // Last: a table that is another sync's is not changed.
  const schemaChange = columns && (await fitColumns(sql, { ...fitting, plan, present: columns }, role));
  return { ...facts, isEmpty, schemaChange };
}

/** What the target of a load that is gone on with must still be, as when it was opened. TARGET_OWNED, TARGET_MISMATCH, SCHEMA_CHANGED. */
export async function recheckTarget(sql: Sql, { sync, relation, plan }: LoadRow): Promise<void> {
  const { columns } = await describeTarget(sql, plan.target);
  const [{ kind } = { kind: '' }] = await sql<{ kind: string }>(
    'select relkind as kind from pg_class where oid = $1::oid',
    [relation],
  );
  const fitting = { plan, before: plan, onSchemaChange: 'fail' } as const;
  const checked = { sync, relation, kind, columns, prepared: true, ...fitting };
  for (const check of targetChecks(sql, checked)) await check();
}

export interface CheckedTarget extends Omit<Fitting, 'present'> {
  sync: SyncId;
  relation: string;
  kind: string;
  /** Null: made after the result. */
  columns: readonly ResultColumn[] | null;
  /** There is a `_penstock`, hence owners. */
  prepared: boolean;
}

/** What the target must be, each by itself: a load is refused for the first that fails, a plan tells all that do. */
export function targetChecks(
  sql: Sql,
  { sync, relation, kind, columns, prepared, ...fitting }: CheckedTarget,
): (() => Promise<void>)[] {
  const { plan } = fitting;
  if (!['r', 'p'].includes(kind)) return [() => Promise.reject(mismatch(plan, 'is not a table'))];
  return [
    async () => (columns ? requireWritable(sql, plan) : undefined),
    () => requireLogged(sql, plan, relation),
    () => requireKeyIndex(sql, plan, relation),
    () => requireDefaults(sql, plan, relation),
    async () => void (columns && checkScope(plan.scope ?? {}, columns)),
    () => requireScopeCollation(sql, plan, relation),
    async () => (prepared ? requireOwnership(sql, { sync, relation }, plan) : undefined),
    async () => void (columns && checkFit({ ...fitting, present: columns })),
  ];
}

/**
 * After a crash of the server an unlogged table is empty, whatever checkpoints and cursor say of its rows. A replacement may
 * write one all the same: it reads all of them every time.
 */
async function requireLogged(sql: Sql, plan: LoadPlan, relation: string): Promise<void> {
  const { staged, onlyAdds } = modeOf(plan);
  if (staged && !onlyAdds) return;
  const unlogged = await sql(
    `select from pg_class
      where oid in (select $1::oid union select relid from pg_partition_tree($1::oid::regclass)) and relpersistence <> 'p' limit 1`,
    [relation],
  );
  if (unlogged.length > 0)
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
async function requireScopeCollation(sql: Sql, plan: LoadPlan, relation: string): Promise<void> {
  const [column] = await sql<{ name: string }>(
    `select attname as name from pg_attribute a join pg_collation c on c.oid = a.attcollation
      where attrelid = $1 and attname = any ($2::text[]) and not collisdeterministic limit 1`,
    [relation, Object.keys(plan.scope ?? {})],
  );
  if (column) throw mismatch(plan, `takes different texts of the column ${column.name} for equal`);
}

/** What the table fills in itself cannot be written; a merge cannot write an identity either. */
async function requireWritable(sql: Sql, plan: LoadPlan): Promise<void> {
  const [column] = await sql<{ name: string; generated: boolean }>(
    `select attname as name, attgenerated <> '' as generated from pg_attribute
      where attrelid = to_regclass($1) and attname = any ($2::text[])
        and (attgenerated <> '' or ($3 and attidentity = 'a')) limit 1`,
    [qualifiedName(plan.target), writtenColumns(plan), modeOf(plan).keyed],
  );
  if (column?.generated)
    throw mismatch(plan, `computes the column ${column.name}: leave it out of the query`);
  if (column)
    throw mismatch(
      plan,
      `gives the column ${column.name} its values itself: make it "generated by default", or leave it out of the query`,
    );
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

/** Columns that the result does not fill must be able to fill themselves. */
async function requireDefaults(sql: Sql, plan: LoadPlan, relation: string): Promise<void> {
  const [column] = await sql<{ name: string }>(
    `select attname as name from pg_attribute
      where attrelid = $1 and attnum > 0 and not attisdropped and not atthasdef and attidentity = ''
        and (attnotnull or exists (select from pg_type t where t.oid = atttypid and typnotnull and typdefault is null))
        and attname <> all ($2::text[]) limit 1`,
    [relation, writtenColumns(plan)],
  );
  if (column)
    throw mismatch(plan, `needs a value for the column ${column.name}, which the result does not have`);
}
