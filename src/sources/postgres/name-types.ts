/** The columns of a result, their types named as they are written with an empty search path: the same everywhere. */
import type { Client, FieldDef } from 'pg';
import type { ResultColumn } from '../../ports/source.ts';
import { rowsOf, runAll } from '../../postgres-client/query.ts';
import { shortMs } from './source-session.ts';

/** Inside a transaction, whose search path is as before afterwards. */
export async function nameTypes(client: Client, fields: readonly FieldDef[]): Promise<ResultColumn[]> {
  await runAll(client, 'savepoint types; set local search_path = pg_catalog', shortMs);
  const rows = await rowsOf<{ name: string }>(
    client,
    shortMs,
    `select format_type(t.oid, t.modifier) as name
       from unnest($1::oid[], $2::int[]) with ordinality as t(oid, modifier, position) order by position`,
    [fields.map((field) => field.dataTypeID), fields.map((field) => field.dataTypeModifier)],
  );
  await runAll(client, 'rollback to savepoint types; release savepoint types', shortMs);
  return fields.map((field, i) => ({ name: field.name, typeOid: field.dataTypeID, typeName: rows[i]!.name }));
}
