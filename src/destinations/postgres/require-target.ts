/** A load belongs to the table that it was opened for. */
import { PenstockError } from '../../domain/errors.ts';
import type { Run } from './destination-session.ts';
import type { LoadRow } from './load.ts';
import { qualifiedName } from './target-name.ts';

/** The rows were written to the table that is there: one that was replaced since the last batch has none of them. */
export async function requireTarget(run: Run, { plan, relation }: LoadRow): Promise<void> {
  const isSame = 'select from pg_class where oid = $1::oid and oid = to_regclass($2)';
  if ((await run(isSame, [relation, qualifiedName(plan.target)])).length > 0) return;
  const { schema, table } = plan.target;
  throw new PenstockError(
    'TARGET_CHANGED',
    `The table ${schema}.${table} is not the one that the load was opened for.`,
  );
}
