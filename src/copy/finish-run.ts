/** The end of a load whose partitions are copied: published, and the run made final when there is nothing left for it. */
import { codeOf, retryClassOf, type ErrorCode } from '../domain/errors.ts';
import type { LoadId } from '../domain/ids.ts';
import type { Receipt } from '../domain/run-states.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Destination, FinishRequest, PublishLimits } from '../ports/destination.ts';

/**
 * - `succeeded`: the run is final in the destination; `receipt` is the sum over its loads.
 * - `another`: that load was an earlier run's; prepare again for this run's own.
 * - `stale`: the load is not complete any more, or somebody else made the run final: prepare again, which says what is.
 */
export type FinishedRun =
  | { outcome: 'succeeded'; load: Receipt; receipt: Receipt; loads: readonly LoadId[] }
  | { outcome: 'another'; load: Receipt }
  | { outcome: 'stale' };

/** Not proven: what was committed is not there any more, because the destination went back to an older state. */
const goneBack: readonly ErrorCode[] = ['LOAD_LOST', 'END_NOT_PROVEN'];

/** What a sync allows its runs to publish. */
export const publishLimitsOf = ({ limits, keepPrevious = false }: SyncSpec): PublishLimits => ({
  chunkRows: limits.batchRows,
  maxDeletePercent: limits.maxDeletePercent,
  keepPrevious,
});

/** Proves, publishes and closes. Repeatable. */
export async function finishRun(destination: Destination, request: FinishRequest): Promise<FinishedRun> {
  const { run } = request;
  try {
    const finished = await destination.finish({ ...request, closesRun: true });
    if (finished.another) return { outcome: 'another', load: finished.receipt };
    const { succeeded, receipt, loads } = finished.outcome ?? (await destination.closeRun(run));
    // Another run has finished the load, and may do so only once this one is final.
    if (!succeeded) return { outcome: 'stale' };
    return { outcome: 'succeeded', load: finished.receipt, receipt, loads };
  } catch (error) {
    const code = codeOf(error);
    if (retryClassOf(code) !== 'fenced' && !goneBack.includes(code)) throw error;
    return { outcome: 'stale' };
  }
}
