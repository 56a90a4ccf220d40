/** Removing rows from the target: deleted, or marked where the sync wants that. In SQL, the target's alias being `t`. */
import type { LoadPlan, SoftDelete } from '../../../ports/destination.ts';
import { ident } from '../../../postgres-client/quote.ts';
import { inScope } from '../scoped.ts';
import { qualifiedName } from '../target-name.ts';

/** "The row is marked"; never NULL. */
export const isMarked = (alias: string, { column, kind }: SoftDelete): string =>
  `(${alias}.${ident(column)} is ${kind === 'boolean' ? 'true' : 'not null'})`;

/** "The row is the sync's, and there for its readers"; never NULL. Whatever removes rows is bounded by it. */
export const isLive = (plan: LoadPlan): string => {
  const { softDelete } = plan;
  return `(${inScope('t', plan)}${softDelete === undefined ? '' : ` and not ${isMarked('t', softDelete)}`})`;
};

/** Of an update's `set`. */
export const unmark = ({ column, kind }: SoftDelete): string =>
  `${ident(column)} = ${kind === 'boolean' ? 'false' : 'null'}`;

/** Removes the live rows of the target that match one of another relation. */
export function removeRows(plan: LoadPlan, { from, where }: { from: string; where: string }): string {
  const { softDelete } = plan;
  const target = `${qualifiedName(plan.target)} as t`;
  if (softDelete === undefined)
    return `delete from ${target} using ${from} where ${where} and ${isLive(plan)}`;
  const mark = `${ident(softDelete.column)} = ${softDelete.kind === 'boolean' ? 'true' : 'pg_catalog.now()'}`;
  return `update ${target} set ${mark} from ${from} where ${where} and ${isLive(plan)}`;
}
