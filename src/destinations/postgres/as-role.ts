/** What is done to a target by a connection that was granted: as the role of the grant, with that role's rights. */
import { ident } from '../../postgres-client/quote.ts';
import type { Sql } from './destination-session.ts';

/** Lets the role at a table that the login has made in `_penstock`; `name` is quoted. */
export async function grantOwn(
  sql: Sql,
  role: string | undefined,
  rights: string,
  name: string,
): Promise<void> {
  if (role === undefined) return;
  await sql(`grant usage on schema _penstock to ${ident(role)}`);
  await sql(`grant ${rights} on ${name} to ${ident(role)}`);
}

/** Works as the role, and is the login again afterwards; without a role it is the login throughout. */
export async function asRole<T>(sql: Sql, role: string | undefined, work: () => Promise<T>): Promise<T> {
  if (role === undefined) return work();
  await sql(`set local role ${ident(role)}`);
  const result = await work();
  await sql('set local role none');
  return result;
}
