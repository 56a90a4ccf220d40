/**
 * Whether a query can be continued after a key, and whether the key is unique; both are proven from the catalog or not
 * assumed. A view is looked through: what its definition contains counts as if it stood in the query.
 */
import type { Client, FieldDef } from 'pg';
import { isCollatable, isExact } from '../../copy/exact-types.ts';
import { ident } from '../../postgres-client/quote.ts';
import { rowsOf } from '../../postgres-client/query.ts';
import { parseQuery, type ObjectName, type ParsedQuery } from './parse-query.ts';
import { asSubselect } from './read-statement.ts';
import { shortMs } from './source-session.ts';

/** Views inside views are followed so far; more are not worth the catalog's time. */
const maxViews = 100;

/** Why the query may have another result when it is read again; null when it has not. */
export async function findInstability(client: Client, parsed: ParsedQuery): Promise<string | null> {
  const [unstable] = parsed.unstable;
  if (unstable !== undefined) return unstable;
  const volatile = await findVolatile(client, parsed.functions);
  if (volatile !== null) return `it calls the volatile function ${volatile}()`;
  return findInViews(client, parsed.relations);
}

/** Why rows cannot be told apart by the key; null when they can. */
export async function findKeyFlaw(
  client: Client,
  sql: string,
  fields: readonly FieldDef[],
  { key, uniqueKey }: { key: readonly string[]; uniqueKey: boolean },
): Promise<string | null> {
  if (key.length === 0) return 'it has no key';
  return uniqueKey ? null : findUnfitKey(client, sql, fields, key);
}

async function findVolatile(client: Client, functions: readonly ObjectName[]): Promise<string | null> {
  const [row] = await rowsOf<{ name: string }>(
    client,
    shortMs,
    `select p.proname as name
       from unnest($1::text[], $2::text[]) as called(schema, name)
       join pg_catalog.pg_proc p on p.proname = called.name and p.provolatile = 'v'
       join pg_catalog.pg_namespace n on n.oid = p.pronamespace and n.nspname = coalesce(called.schema, n.nspname)
      limit 1`,
    [functions.map((each) => each.schema), functions.map((each) => each.name)],
  );
  return row?.name ?? null;
}

const qualified = ({ schema, name }: ObjectName): string =>
  schema === null ? ident(name) : `${ident(schema)}.${ident(name)}`;

/** Looks through the views that are named, and through those that they name. */
async function findInViews(client: Client, relations: readonly ObjectName[]): Promise<string | null> {
  const seen = new Set<string>();
  let names = relations.map(qualified);
  while (names.length > 0 && seen.size < maxViews) {
    const views = await rowsOf<{ id: string; name: string; definition: string }>(
      client,
      shortMs,
      `select c.oid::text as id, c.relname as name, pg_catalog.pg_get_viewdef(c.oid) as definition
         from pg_catalog.pg_class c
        where c.oid = any (select pg_catalog.to_regclass(name) from unnest($1::text[]) as t(name))
          and c.relkind = 'v' and c.oid::text <> all ($2::text[])
        limit ${maxViews}`,
      [names, [...seen]],
    );
    names = [];
    for (const view of views) {
      seen.add(view.id);
      const parsed = await parseQuery(view.definition);
      const volatile = await findVolatile(client, parsed.functions);
      const [reason] = volatile === null ? parsed.unstable : [`it calls the volatile function ${volatile}()`];
      if (reason !== undefined) return `the view ${view.name} in it: ${reason}`;
      names.push(...parsed.relations.map(qualified));
    }
  }
  return null;
}

/** A key column whose type or collation does not let two keys be told apart by their bytes. */
async function findUnfitKey(
  client: Client,
  sql: string,
  fields: readonly FieldDef[],
  key: readonly string[],
): Promise<string | null> {
  for (const name of key) {
    const { dataTypeID: typeOid, dataTypeModifier: modifier } = fields.find((field) => field.name === name)!;
    if (!isExact(typeOid, modifier) && !(await isEnum(client, typeOid)))
      return `its key column ${name} has a type that writes equal values in different ways, and the key is not proven unique`;
    if (isCollatable(typeOid) && (await isLooselyCollated(client, sql, name)))
      return `the collation of its key column ${name} treats different texts as equal`;
  }
  return null;
}

async function isEnum(client: Client, typeOid: number): Promise<boolean> {
  const found = await rowsOf(
    client,
    shortMs,
    `select from pg_catalog.pg_type where oid = $1 and typtype = 'e'`,
    [typeOid],
  );
  return found.length > 0;
}

async function isLooselyCollated(client: Client, sql: string, name: string): Promise<boolean> {
  const found = await rowsOf(
    client,
    shortMs,
    `select from pg_catalog.pg_collation
      where oid = pg_catalog.pg_collation_for((select q.${ident(name)} from ${asSubselect(sql)} limit 0))::regcollation
        and not collisdeterministic`,
  );
  return found.length > 0;
}

/**
 * Whether no two rows of the result can share a key: it reads one table, no row of it twice, and the key covers a
 * unique index. None of its columns can be NULL: to a unique index of the target two NULLs are two keys.
 */
export async function isKeyUnique(
  client: Client,
  parsed: ParsedQuery,
  fields: readonly FieldDef[],
  key: readonly string[],
): Promise<boolean> {
  if (!parsed.onlyTable || key.length === 0) return false;
  const keyFields = key.map((name) => fields.find((field) => field.name === name)!);
  const [table] = new Set(keyFields.map((field) => field.tableID));
  if (!table || keyFields.some((field) => field.tableID !== table)) return false;
  if (await findSetReturning(client, parsed.functions)) return false;
  const found = await rowsOf(
    client,
    shortMs,
    `select from pg_catalog.pg_index i
       join pg_catalog.pg_class c on c.oid = i.indrelid
      where i.indrelid = $1 and c.oid = pg_catalog.to_regclass($3)
        and (c.relkind = 'p' or (c.relkind = 'r' and not c.relhassubclass))
        and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
        and (select bool_and(a.attnum = any ($2::int[]) and a.attnotnull)
               from pg_catalog.pg_attribute a
              where a.attrelid = i.indrelid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
        and not exists (select from pg_catalog.pg_attribute k
              where k.attrelid = i.indrelid and k.attnum = any ($2::int[]) and not k.attnotnull)
      limit 1`,
    [table, keyFields.map((field) => field.columnID), qualified(parsed.onlyTable)],
  );
  return found.length > 0;
}

/** Whether the query reads one table of which each column of the key is one that cannot be NULL. */
export async function isKeyNotNull(
  client: Client,
  parsed: ParsedQuery,
  fields: readonly FieldDef[],
  key: readonly string[],
): Promise<boolean> {
  if (!parsed.onlyTable) return false;
  const keyFields = key.map((name) => fields.find((field) => field.name === name)!);
  const found = await rowsOf(
    client,
    shortMs,
    `select from unnest($1::oid[], $2::int[]) as k(relation, number)
       join pg_catalog.pg_attribute a on a.attrelid = k.relation and a.attnum = k.number and a.attnotnull
       join pg_catalog.pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
      where c.oid = pg_catalog.to_regclass($3)`,
    [
      keyFields.map((field) => field.tableID),
      keyFields.map((field) => field.columnID),
      qualified(parsed.onlyTable),
    ],
  );
  return key.length > 0 && found.length === key.length;
}

async function findSetReturning(client: Client, functions: readonly ObjectName[]): Promise<boolean> {
  const found = await rowsOf(
    client,
    shortMs,
    'select from pg_catalog.pg_proc where proretset and proname = any ($1) limit 1',
    [functions.map((each) => each.name)],
  );
  return found.length > 0;
}
