/**
 * The shadow of a load: a logged table of its own in `_penstock`, with the target's columns, defaults and checks. Rows
 * wait in it where nobody reads them until the load is published. It is made with its load and gone with it.
 */
import type { LoadId } from '../../../domain/ids.ts';
import { ident } from '../../../postgres-client/quote.ts';
import type { Run } from '../destination-session.ts';
import type { LoadRow } from '../load.ts';
import { qualifiedName } from '../target-name.ts';
import { fetchStorage } from './table-shape.ts';

/** Quoted. */
export const shadowOf = (load: LoadId): string => `_penstock.${ident(load)}`;

/** Logged whatever the target is: what a checkpoint vouches for survives a crash. Batches write it as the target's role. */
export async function createShadow(run: Run, { id, plan, relation }: LoadRow, role?: string): Promise<void> {
  await run(
    `create table ${shadowOf(id)} (like ${qualifiedName(plan.target)} including all excluding indexes excluding statistics)
       ${await fetchStorage(run, relation)}`,
  );
  if (role === undefined) return;
  await run(`grant usage on schema _penstock to ${ident(role)}`);
  await run(`grant select, insert on ${shadowOf(id)} to ${ident(role)}`);
}

export const emptyShadow = (run: Run, { id }: LoadRow): Promise<unknown> => run(`truncate ${shadowOf(id)}`);

export const dropShadow = (run: Run, { id }: LoadRow): Promise<unknown> =>
  run(`drop table if exists ${shadowOf(id)}`);

/**
 * Inserts the shadow's rows into the target; how many. The result's columns only, as COPY would: what it does not fill is
 * the target's own, and what it does is taken as it is, also for an identity column.
 */
export function insertShadow(run: Run, { id, plan }: LoadRow): Promise<number> {
  const names = plan.columns.map((column) => ident(column.name)).join(', ');
  return run.count(
    `insert into ${qualifiedName(plan.target)} (${names}) overriding system value select ${names} from ${shadowOf(id)}`,
  );
}
