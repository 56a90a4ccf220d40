/**
 * Copies one partition of a load: one source statement in key order, cut into batches, one destination transaction
 * each. Whatever happens, what is committed is vouched for by a checkpoint, and the next attempt goes on after it.
 */
import type { ErrorCode } from '../domain/errors.ts';
import type { LoadId, RunId } from '../domain/ids.ts';
import type { Destination } from '../ports/destination.ts';
import type { Source } from '../ports/source.ts';

/** What ends a batch, whichever comes first. */
export interface BatchLimits {
  rows: number;
  bytes: number;
  timeMs: number;
}

/** Where the partition stands, all attempts together. */
export interface CopyProgress {
  rows: number;
  batches: number;
  bytes: number;
}

export interface CopyRequest {
  run: RunId;
  load: LoadId;
  partition: number;
  /** Decimal text; rises with every attempt of a run. */
  epoch: string;
  limits: BatchLimits;
  /** An attempt that has committed something yields after this long, so that no activity runs for ever. */
  yieldAfterMs: number;
  rowTimeoutMs: number;
  /** Cancellation: the open batch is rolled back (or its commit awaited) and the signal's reason is thrown. */
  signal: AbortSignal;
  /** Asked between batches and while waiting: true ends the attempt after the batch in hand. */
  drain: () => boolean;
  /** Called once the lease is taken and the checkpoints are read, and after every commit. */
  onProgress: (progress: CopyProgress) => void;
}

export interface CopyResult {
  /**
   * - `finished`: the partition is complete.
   * - `yielded`: call again (drained, out of time, or failed with progress: see `error`).
   * - `fenced`: another attempt writes the partition, or the run is final; this one has ended without a trace.
   * - `lost`: the destination does not know the load (restored to an older state): prepare again.
   */
  outcome: 'finished' | 'yielded' | 'fenced' | 'lost';
  /** Committed by this call. */
  rows: number;
  batches: number;
  bytes: number;
  error?: { code: ErrorCode; message: string };
}

export interface CopyDeps {
  source: Source;
  destination: Destination;
}

/**
 * Runs one attempt. Throws what stopped it when it made no progress, and the signal's reason when cancelled.
 */
export function copyPartition(_deps: CopyDeps, _request: CopyRequest): Promise<CopyResult> {
  return Promise.reject(new Error('not built yet'));
}
