/** Where the rows of a batch wait that do not go straight into their target: a table of the transaction. */
import type { LoadPlan } from '../../../ports/destination.ts';
import { ident } from '../../../postgres-client/quote.ts';
import type { TargetColumn, UnwrittenColumn } from '../target-columns.ts';
import { qualifiedName } from '../target-name.ts';

export const stagingTable = 'pg_temp.penstock_stage';

interface Staged {
  plan: LoadPlan;
  /** Of the target. */
  columns: readonly TargetColumn[];
  unwritten: readonly UnwrittenColumn[];
}

/** Created in the batch's transaction and gone with it: right behind a transaction pooler, and nothing to clean up. */
export function createStaging({ plan, columns, unwritten }: Staged): string {
  const names = columns.map((column) => ident(column.name));
  const extra = unwritten.map(
    ({ name, typeName }) => `null::${plan.format === 'binary' ? typeName : 'text'} as ${ident(name)}`,
  );
  return `create temporary table penstock_stage on commit drop as select ${[...names, ...extra].join(', ')} from ${qualifiedName(plan.target)} with no data`;
}
