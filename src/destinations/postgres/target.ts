/** The table that a sync writes: found or created, owned, and fit for the result. */
import { findMisfits } from '../../copy/column-fit.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { LoadPlan, TableName } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import { ident } from '../../postgres-client/quote.ts';
import type { Run } from './destination-session.ts';
import { hasKeyIndex } from './key-index.ts';
import { modeOf } from './modes/modes.ts';
import { mismatch, qualifiedName } from './target-name.ts';

interface TargetRow {
  target: TableName;
  columns: readonly ResultColumn[] | null;
}

/** The target with its schema filled in, and its columns; types are named with an empty search path. */
export async function describeTarget(run: Run, wanted: TableName): Promise<TargetRow> {
  const schema = wanted.schema === '' ? await defaultSchema(run) : wanted.schema;
  const target = { schema, table: wanted.table };
  const columns = await run<ResultColumn>(
    `select a.attname as name, a.atttypid::int8::int as "typeOid", format_type(a.atttypid, a.atttypmod) as "typeName"
       from pg_attribute a
      where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      order by a.attnum`,
    [qualifiedName(target)],
  );
  return { target, columns: columns.length > 0 ? columns : null };
}

/** Where the login's own search path puts a new table. */
async function defaultSchema(run: Run): Promise<string> {
  const [row] = await run<{ name: string | null }>(
    `select n.nspname as name
       from pg_settings s,
            unnest(string_to_array(s.reset_val, ',')) with ordinality as path(entry, position)
       join pg_namespace n on quote_ident(n.nspname) = replace(trim(path.entry), '"$user"', quote_ident(current_user))
      where s.name = 'search_path' order by path.position limit 1`,
  );
  if (!row?.name)
    throw new PenstockError(
      'TARGET_MISMATCH',
      'The login has no default schema: name the table with its schema.',
    );
  return row.name;
}

interface RelationFacts {
  relation: string;
  kind: string;
  isEmpty: boolean;
}

/**
 * Finds or creates the target and makes the sync an owner of it, in the caller's transaction. TARGET_OWNED,
 * TARGET_MISMATCH.
 */
export async function claimTarget(
  run: Run,
  sync: SyncId,
  plan: LoadPlan,
): Promise<{ relation: string; isEmpty: boolean }> {
  const name = qualifiedName(plan.target);
  // Serialises claims, so that two syncs cannot both find a table unowned.
  await run('lock table _penstock.target in share row exclusive mode');
  const { columns } = await describeTarget(run, plan.target);
  if (columns === null) await createTarget(run, plan);
  else checkColumns(plan, columns);
  const [facts] = await run<RelationFacts>(
    `select c.oid::text as relation, c.relkind as kind, not exists (select from ${name}) as "isEmpty"
       from pg_class c where c.oid = to_regclass($1)`,
    [name],
  );
  if (!facts || !['r', 'p'].includes(facts.kind)) throw mismatch(plan, 'is not a table');
  if (modeOf(plan).keyed && !(await hasKeyIndex(run, facts.relation, plan.key)))
    throw mismatch(plan, `has no unique index on the key (${plan.key.join(', ')})`);
  await requireDefaults(run, plan, facts.relation);
  await own(run, sync, plan, facts.relation);
  return facts;
}

/**
 * Columns take the source's types; a type that is not known here becomes text, which holds any value as it is printed. So
 * does a table's row type: a column of it would keep whoever owns that table from changing it.
 */
async function createTarget(run: Run, plan: LoadPlan): Promise<void> {
  const known = await run<{ name: string; known: boolean }>(
    `select n.name, t.oid is not null and not exists (select from pg_class c
            where c.oid in (t.typrelid, element.typrelid) and c.relkind <> 'c') as known
       from unnest($1::text[]) as n(name)
       left join pg_type t on t.oid = to_regtype(n.name)
       left join pg_type element on element.oid = t.typelem`,
    [plan.columns.map((column) => column.typeName)],
  );
  const isKnown = new Set(known.filter((type) => type.known).map((type) => type.name));
  const written = plan.columns.filter(({ name }) => name !== plan.deletedWhen?.column);
  const columns = written.map(
    ({ name, typeName }) => `${ident(name)} ${isKnown.has(typeName) ? typeName : 'text'}`,
  );
  const marker = plan.softDelete ? [`${ident(plan.softDelete.column)} timestamp with time zone`] : [];
  const key = modeOf(plan).keyed ? [`primary key (${plan.key.map(ident).join(', ')})`] : [];
  await run(`create schema if not exists ${ident(plan.target.schema)}`);
  await run(`create table ${qualifiedName(plan.target)} (${[...columns, ...marker, ...key].join(', ')})`);
}

function checkColumns(plan: LoadPlan, present: readonly ResultColumn[]): void {
  const { deletedWhen, columns } = plan;
  const mayLack = ({ name }: ResultColumn): boolean =>
    name === deletedWhen?.column && !present.some((each) => each.name === name);
  const misfits = findMisfits(
    columns.filter((column) => !mayLack(column)),
    present,
  );
  if (misfits.length > 0) throw mismatch(plan, misfits.join(', '));
}

/** Columns that the result does not fill must be able to fill themselves. */
async function requireDefaults(run: Run, plan: LoadPlan, relation: string): Promise<void> {
  const [column] = await run<{ name: string }>(
    `select attname as name from pg_attribute
      where attrelid = $1 and attnum > 0 and not attisdropped and attnotnull and not atthasdef
        and attidentity = '' and attname <> all ($2::text[]) limit 1`,
    [relation, plan.columns.map((each) => each.name)],
  );
  if (column)
    throw mismatch(plan, `needs a value for the column ${column.name}, which the result does not have`);
}

/** Syncs that only add rows may share a table; any other owns its table alone. */
async function own(run: Run, sync: SyncId, plan: LoadPlan, relation: string): Promise<void> {
  const shared = modeOf(plan).onlyAdds;
  const [other] = await run<{ sync: string }>(
    'select sync from _penstock.target where relation = $1 and sync <> $2 and not ($3 and shared) limit 1',
    [relation, sync, shared],
  );
  if (other)
    throw new PenstockError(
      'TARGET_OWNED',
      `Another sync writes to ${plan.target.schema}.${plan.target.table}.`,
      {
        pointer: '/destination/table',
        meta: { owner: other.sync },
      },
    );
  // A sync that has moved lets go of the table it wrote before: another may have it, and no reset empties it.
  await run('delete from _penstock.target where sync = $1 and relation <> $2', [sync, relation]);
  await run(
    `insert into _penstock.target (relation, sync, shared) values ($1, $2, $3)
         on conflict (relation, sync) do update set shared = excluded.shared`,
    [relation, sync, shared],
  );
}
