/** What a writer has to know of the target's columns and triggers; read once per attempt. */
import type { Client } from 'pg';
import { isCollatable, isExact } from '../../copy/exact-types.ts';
import type { ResultColumn } from '../../ports/source.ts';
import { ident, textArray } from '../../postgres-client/quote.ts';
import { rowsOf } from '../../postgres-client/query.ts';

export interface TargetColumn {
  name: string;
  typeOid: number;
  modifier: number;
}

/** The columns that the result fills, in its order. */
export async function fetchTargetColumns(
  client: Client,
  answerMs: number,
  relation: string,
  names: readonly string[],
): Promise<TargetColumn[]> {
  return rowsOf<TargetColumn>(
    client,
    answerMs,
    `select a.attname as name, a.atttypid::int8::int as "typeOid", a.atttypmod as modifier
       from unnest($2::text[]) with ordinality as wanted(name, position)
       join pg_catalog.pg_attribute a on a.attrelid = $1 and a.attname = wanted.name and not a.attisdropped
      order by wanted.position`,
    [relation, names],
  );
}

/** Columns that rows bring and the target has not, with their types as this server names them: what a source says may be any text. */
export interface UnwrittenColumn {
  name: string;
  typeName: string;
}

export const nameUnwritten = (
  client: Client,
  answerMs: number,
  columns: readonly Pick<ResultColumn, 'name' | 'typeOid'>[],
): Promise<UnwrittenColumn[]> =>
  rowsOf<UnwrittenColumn>(
    client,
    answerMs,
    `select name, pg_catalog.format_type(type, null) as "typeName" from unnest($1::text[], $2::oid[]) as t(name, type)`,
    [columns.map(({ name }) => name), columns.map(({ typeOid }) => typeOid)],
  );

/** Whether a trigger of the user's may keep a row from being written, which the server does not report. */
export async function maySwallowRows(client: Client, answerMs: number, relation: string): Promise<boolean> {
  const beforeRow = 3; // TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE of pg_trigger.h
  const found = await rowsOf(
    client,
    answerMs,
    `select from pg_catalog.pg_trigger
      where tgrelid in (select $1::oid union select relid from pg_catalog.pg_partition_tree($1::oid::regclass))
        and not tgisinternal and tgenabled <> 'D' and tgtype & ${beforeRow} = ${beforeRow} limit 1`,
    [relation],
  );
  return found.length > 0;
}

/**
 * "The stored value differs from the new one", so that no change is missed that its text would show.
 *
 * @param of the new row's alias; the stored one's is `t`
 */
export function differs({ name, typeOid, modifier }: TargetColumn, of: string): string {
  const [stored, fresh] = [`t.${ident(name)}`, `${of}.${ident(name)}`];
  if (!isExact(typeOid, modifier)) return `${stored}::text is distinct from ${fresh}::text`;
  const collate = isCollatable(typeOid) ? ' collate "C"' : '';
  return `${stored}${collate} is distinct from ${fresh}${collate}`;
}

/**
 * What a load relies on of the target's columns, as one text: which column bears which name, and its type. Compared at
 * every commit, while the batch holds a lock that keeps them as they are: bytes of one type read as another's may fit.
 *
 * @param relation SQL for its oid
 */
export const columnsState = (relation: string, names: readonly string[]): string =>
  `(select coalesce(string_agg(concat_ws(' ', attname, attnum, atttypid, atttypmod, attcollation, attgenerated), ', ' order by attnum), '')
      from pg_catalog.pg_attribute
     where attrelid = ${relation} and attname = any (${textArray(names)}) and not attisdropped)`;
