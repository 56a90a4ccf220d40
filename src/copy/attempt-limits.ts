/** What bounds an attempt at a partition: the spec's limits, and those that are the same for every sync. */
import { parseSizeBytes, type SyncSpec } from '../domain/sync-spec.ts';
import type { CopyRequest } from './copy-partition.ts';

/** A batch ends after this long, so that no transaction outlives a slow source. */
const batchTimeMs = 5_000;
const yieldAfterMs = 30 * 60_000;
const rowTimeoutMs = 5 * 60_000;

export const attemptLimits = ({
  limits: { batchRows, batchBytes, maxRejects },
}: SyncSpec): Pick<CopyRequest, 'limits' | 'yieldAfterMs' | 'rowTimeoutMs'> => ({
  limits: { rows: batchRows, bytes: parseSizeBytes(batchBytes)!, timeMs: batchTimeMs, maxRejects },
  yieldAfterMs,
  rowTimeoutMs,
});
