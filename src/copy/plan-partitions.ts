/**
 * Splits a load into partitions, once, when it is opened: ranges of the key's first column and, where a key may be NULL,
 * one partition for those rows, last. Neighbouring ranges share their bound, and the outer ones are open, so that every
 * key has exactly one partition, also one that comes into the result later.
 */
import type { SyncSpec } from '../domain/sync-spec.ts';
import { writeModes } from '../domain/write-modes.ts';
import type { LoadPlan } from '../ports/destination.ts';
import type { CursorWindow, PartitionBounds, Source } from '../ports/source.ts';

/**
 * Ranges are guessed and rows are of unequal weight. With four a slot, a range that takes twice as long as the others
 * leaves the other slots idle for an eighth of the copy at most; each costs two connections and one statement more.
 */
const rangesPerSlot = 4;

/** Whether a row with a NULL in its key may be written: not where rows are found again by their key. */
export const takesNullKeys = ({ mode }: LoadPlan): boolean => !writeModes[mode].keyed;

interface PartitionRequest {
  plan: LoadPlan;
  window: CursorWindow;
  keyMayBeNull: boolean;
  spec: Pick<SyncSpec, 'limits'>;
  signal: AbortSignal;
}

/**
 * The partitions in the order in which they are begun. A range is not worth having for less than a batch; a query that may
 * have another result when it is read again is read once.
 */
export async function planPartitions(
  source: Pick<Source, 'splitKey'>,
  { plan, window, keyMayBeNull, spec, signal }: PartitionRequest,
): Promise<PartitionBounds[]> {
  if (!plan.resumable) return [{}];
  const { parallel, batchRows } = spec.limits;
  const { query, columns, key, cursor, runTime, mapping } = plan;
  const ranges = parallel * rangesPerSlot;
  const splits =
    parallel === 1
      ? []
      : await source.splitKey({
          query,
          columns,
          key,
          cursor,
          window,
          runTime,
          mapping,
          ranges,
          minRows: batchRows,
          signal,
        });
  return boundsOf(splits, keyMayBeNull && (takesNullKeys(plan) || splits.length > 0));
}

/** @param splits ascending, no two equal */
export function boundsOf(splits: readonly string[], nullsApart: boolean): PartitionBounds[] {
  const ranges = [...splits, undefined].map((upTo, i): PartitionBounds => {
    const after = splits[i - 1];
    return {
      ...(after !== undefined && { after }),
      ...(upTo !== undefined && { upTo }),
      ...(nullsApart && { nulls: 'none' }),
    };
  });
  return nullsApart ? [...ranges, { nulls: 'only' }] : ranges;
}
