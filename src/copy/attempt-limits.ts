/** What bounds an attempt at a partition: the spec's limits, and those that are the same for every sync. */
import { parseSizeBytes, type SyncSpec } from '../domain/sync-spec.ts';
import type { CopyRequest } from './copy-partition.ts';

/** A batch ends after this long, so that no transaction outlives a slow source. */
const batchTimeMs = 5_000;
const readAnewAfterMs = 30 * 60_000;
const firstCallMs = 10 * 60_000;
/** Below the seven days after which the engine takes an attempt for dead. */
const longestCallMs = 6 * 86_400_000;
const rowTimeoutMs = 5 * 60_000;

/**
 * How long a partition's first call lasts, its second, and so on: what each has copied is soon in the run's details while the
 * run is young, and six calls are eight days, so that histories stay short.
 */
export const callLastsMs = (turn: number): number => Math.min(firstCallMs * 4 ** (turn - 1), longestCallMs);

/** Of a partition's call that is the `turn`-th. */
export const attemptLimits = (
  { limits: { batchRows, batchBytes, maxRejects } }: SyncSpec,
  turn = 1,
): Pick<CopyRequest, 'limits' | 'yieldAfterMs' | 'readAnewAfterMs' | 'rowTimeoutMs'> => ({
  limits: { rows: batchRows, bytes: parseSizeBytes(batchBytes)!, timeMs: batchTimeMs, maxRejects },
  yieldAfterMs: callLastsMs(turn),
  readAnewAfterMs,
  rowTimeoutMs,
});
