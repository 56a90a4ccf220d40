/** What is done to a target by a connection that was granted: as the role of the grant, with that role's rights. */
import { ident } from '../../postgres-client/quote.ts';
import type { Sql } from './destination-session.ts';

/** Works as the role, and is the login again afterwards; without a role it is the login throughout. */
export async function asRole<T>(sql: Sql, role: string | undefined, work: () => Promise<T>): Promise<T> {
  if (role === undefined) return work();
  await sql(`set local role ${ident(role)}`);
  const result = await work();
  await sql('set local role none');
  return result;
}
