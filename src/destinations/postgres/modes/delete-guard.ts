/** Stops a mode that deletes before it deletes too much: a source that lost its rows looks like one that has none. */
import { PenstockError } from '../../../domain/errors.ts';
import type { LoadPlan } from '../../../ports/destination.ts';

interface WouldDelete {
  plan: LoadPlan;
  /** Rows that would go. */
  gone: number;
  /** Rows of which they would go. */
  of: number;
  maxDeletePercent: number;
}

/** The error that says so, or null. 100 percent allow everything. */
export function tooManyDeletes({ plan, gone, of, maxDeletePercent }: WouldDelete): PenstockError | null {
  if (gone * 100 <= of * maxDeletePercent || maxDeletePercent >= 100) return null;
  const { schema, table } = plan.target;
  return new PenstockError(
    'TOO_MANY_DELETES',
    `${gone} of ${of} rows of ${schema}.${table} are not in the result and would be deleted, more than ${maxDeletePercent} percent: none was.`,
    { meta: { wouldDelete: gone, of, maxDeletePercent } },
  );
}
