/** Statements that write the target outside a batch, under the same conditions as inside one. */
import { ident } from '../../postgres-client/quote.ts';
import { asRole } from './as-role.ts';
import type { Sql } from './destination-session.ts';
import type { LoadRow } from './load-row.ts';
import { requireTarget } from './require-target.ts';

/**
 * Works as the granted role and with the target's own search path, for the sake of its triggers and checks; afterwards the
 * transaction is the login's again. TARGET_CHANGED when it was another table than the load's that was written.
 */
export async function writingTarget<T>(
  sql: Sql,
  { load, role }: { load: LoadRow; role?: string | undefined },
  work: () => Promise<T>,
): Promise<T> {
  await sql(`set local search_path to ${ident(load.plan.target.schema)}, pg_temp`);
  await sql('set constraints all immediate');
  const result = await asRole(sql, role, work);
  await sql('set local search_path to pg_catalog');
  await requireTarget(sql, load);
  return result;
}
