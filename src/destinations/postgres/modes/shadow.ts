/**
 * The shadow of a load: a logged table of its own in `_penstock`, with the target's columns, defaults and checks. Rows
 * wait in it where nobody reads them until the load is published. It is made with its load and gone with it.
 */
import type { LoadId } from '../../../domain/ids.ts';
import { ident } from '../../../postgres-client/quote.ts';
import { grantOwn } from '../as-role.ts';
import type { Sql } from '../destination-session.ts';
import type { LoadRow } from '../load-row.ts';
import { insertAll, scopeEntries } from '../scoped.ts';
import { qualifiedName } from '../target-name.ts';
import { fetchStorage } from './table-shape.ts';

/** Quoted. */
export const shadowOf = (load: LoadId): string => `_penstock.${ident(load)}`;

/** Logged whatever the target is: what a checkpoint vouches for survives a crash. Batches write it as the target's role. */
export async function createShadow(sql: Sql, { id, plan, relation }: LoadRow, role?: string): Promise<void> {
  await sql(
    `create table ${shadowOf(id)} (like ${qualifiedName(plan.target)} including all excluding indexes excluding statistics)
       ${await fetchStorage(sql, relation)}`,
  );
  // COPY brings the other columns: a constraint of the target's on these is to find what will be inserted there.
  for (const { column, value } of scopeEntries(plan))
    await sql(`alter table ${shadowOf(id)} alter column ${column} set default ${value}`);
  await grantOwn(sql, role, 'select, insert', shadowOf(id));
}

export const emptyShadow = (sql: Sql, { id }: LoadRow): Promise<unknown> => sql(`truncate ${shadowOf(id)}`);

export const dropShadow = (sql: Sql, { id }: LoadRow): Promise<unknown> =>
  sql(`drop table if exists ${shadowOf(id)}`);

/** Inserts the shadow's rows into the target; how many. */
export const insertShadow = (sql: Sql, { id, plan }: LoadRow): Promise<number> =>
  sql.count(insertAll(plan, shadowOf(id)));
