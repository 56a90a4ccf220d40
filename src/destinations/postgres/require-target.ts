/** A load belongs to the table that it was opened for. */
import { PenstockError } from '../../domain/errors.ts';
import type { SqlRows } from './destination-session.ts';
import { findColumnChange } from './frozen-columns.ts';
import type { LoadRow } from './load-row.ts';
import { qualifiedName } from './target-name.ts';

/** Whether the table of that name is the one that the load was opened for. */
export async function isTarget(sql: SqlRows, { plan, relation }: LoadRow): Promise<boolean> {
  const isSame = 'select from pg_class where oid = $1::oid and oid = to_regclass($2)';
  return (await sql(isSame, [relation, qualifiedName(plan.target)])).length > 0;
}

/**
 * The rows were written to the table that is there, and to the columns: what was replaced since the last batch has none of
 * them. TARGET_CHANGED, SCHEMA_CHANGED.
 */
export async function requireTarget(sql: SqlRows, load: LoadRow): Promise<void> {
  const { schema, table } = load.plan.target;
  if (!(await isTarget(sql, load)))
    throw new PenstockError(
      'TARGET_CHANGED',
      `The table ${schema}.${table} is not the one that the load was opened for.`,
    );
  const change = await findColumnChange(sql, load);
  if (change) throw change;
}
