/** A target as it is: where it lies, and its columns. */
import { PenstockError } from '../../domain/errors.ts';
import type { TableName } from '../../ports/destination.ts';
import type { ResultColumn } from '../../ports/source.ts';
import type { Sql } from './destination-session.ts';
import { qualifiedName } from './target-name.ts';

interface TargetRow {
  target: TableName;
  columns: readonly ResultColumn[] | null;
}

/** The target with its schema filled in, and its columns; types are named with an empty search path. */
export async function describeTarget(sql: Sql, wanted: TableName): Promise<TargetRow> {
  const schema = wanted.schema === '' ? await defaultSchema(sql) : wanted.schema;
  const target = { schema, table: wanted.table };
  const columns = await sql<ResultColumn>(
    `select a.attname as name, a.atttypid::int8::int as "typeOid", format_type(a.atttypid, a.atttypmod) as "typeName"
       from pg_attribute a
      where a.attrelid = to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
      order by a.attnum`,
    [qualifiedName(target)],
  );
  return { target, columns: columns.length > 0 ? columns : null };
}

/** Where the login's own search path puts a new table. */
async function defaultSchema(sql: Sql): Promise<string> {
  const [row] = await sql<{ name: string | null }>(
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
