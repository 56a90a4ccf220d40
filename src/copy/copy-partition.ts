/**
 * Copies one partition of a load: one source statement in key order, cut into batches, one destination transaction
 * each. Whatever happens, what is committed is vouched for by a checkpoint, and the next attempt goes on after it.
 *
 * Rows stream into the open transaction while the source is read; the bytes of a batch are kept until its commit is
 * known, for the case that it has to be sent again another way.
 */
import { codeOf, PenstockError, retryClassOf, type ErrorCode } from '../domain/errors.ts';
import type { LoadId, RunId } from '../domain/ids.ts';
import type { Destination, OpenLoad, PartitionWriter } from '../ports/destination.ts';
import type { RowSlice, Source, SourceRead } from '../ports/source.ts';
import { BatchInHand } from './batch-in-hand.ts';
import { createCutter, type BatchCutter } from './batch-cutter.ts';
import { takesNullKeys } from './plan-partitions.ts';

/** What ends a batch, whichever comes first; and how many rows a load may reject. */
export interface BatchLimits {
  rows: number;
  bytes: number;
  timeMs: number;
  /** Default: none. */
  maxRejects?: number | undefined;
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
  /** Cancellation: the open batch is rolled back (a commit under way is unknown), the signal's reason is thrown. */
  signal: AbortSignal;
  /** Asked between rows and while waiting: true ends the attempt after the batch in hand is committed. */
  drain: () => boolean;
  /** Called once the lease is taken, and after every commit. */
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
 * Runs one attempt. Throws what stopped it when it made no progress or is never to be tried again, and the signal's reason
 * when cancelled.
 */
export async function copyPartition(deps: CopyDeps, request: CopyRequest): Promise<CopyResult> {
  const done = { rows: 0, batches: 0, bytes: 0 };
  try {
    const outcome = await attempt(deps, request, done);
    return { outcome, ...done };
  } catch (error) {
    if (request.signal.aborted) throw request.signal.reason;
    const code = codeOf(error);
    if (code === 'FENCED' || code === 'RUN_FINAL') return { outcome: 'fenced', ...done };
    if (code === 'LOAD_LOST') return { outcome: 'lost', ...done };
    if (done.batches === 0 || retryClassOf(code) === 'never') throw error;
    const message = error instanceof PenstockError ? error.message : 'Something in Penstock failed.';
    return { outcome: 'yielded', ...done, error: { code, message } };
  }
}

async function attempt(
  { source, destination }: CopyDeps,
  request: CopyRequest,
  done: CopyProgress,
): Promise<'finished' | 'yielded'> {
  const { run, partition, epoch, signal, limits } = request;
  const load = await destination.fetchLoad(request.load);
  if (!load) throw new PenstockError('LOAD_LOST', `The destination does not know the load ${request.load}.`);
  if (load.phase === 'done') return 'finished';
  const { maxRejects } = limits;
  const writer = await destination.takeLease({ run, load: request.load, partition, epoch, maxRejects });
  let read: SourceRead | undefined;
  try {
    request.onProgress({ ...writer.totals });
    if (writer.checkpoint?.final) return 'finished';
    signal.throwIfAborted();
    read = await source.read(readRequest(load, writer, request));
    const { columns, order, uniqueKey, format, resumable } = load.plan;
    const cutter = createCutter({
      format,
      columns,
      key: order,
      uniqueKey,
      readsNullKeys: takesNullKeys(load.plan) && writer.bounds.nulls === 'only',
      maxRows: limits.rows,
      maxBytes: limits.bytes,
    });
    const batch = new BatchInHand({
      writer,
      cutter,
      rows: { format, columns, key: order, uniqueKey },
      signal,
      onCommit: (counts) => {
        done.rows += counts.rows;
        done.bytes += counts.bytes;
        done.batches++;
        request.onProgress({ ...writer.totals });
      },
    });
    const startedMs = performance.now();
    // A query that begins again, or whose first row takes longer than that, would else begin again and again.
    const isTimeUp = () =>
      resumable && done.batches > 0 && performance.now() - startedMs >= request.yieldAfterMs;
    return await pump({ read, cutter, batch, request, isToYield: () => request.drain() || isTimeUp() });
  } finally {
    await Promise.all([read?.close(), writer.close()]);
  }
}

const readRequest = (load: OpenLoad, writer: PartitionWriter, request: CopyRequest) => ({
  query: load.plan.query,
  runTime: load.plan.runTime,
  mapping: load.plan.mapping,
  columns: load.plan.columns,
  format: load.plan.format,
  reader: load.plan.reader,
  key: load.plan.order,
  uniqueKey: load.plan.uniqueKey,
  after: writer.checkpoint?.keyHi ?? null,
  bounds: writer.bounds,
  cursor: load.plan.cursor,
  window: load.window,
  rowTimeoutMs: request.rowTimeoutMs,
  signal: request.signal,
});

/** How often a waiting attempt looks at the clock and at `drain`. */
const lookMs = 200;

interface Pump {
  read: SourceRead;
  cutter: BatchCutter;
  batch: BatchInHand;
  request: CopyRequest;
  isToYield: () => boolean;
}

/** Rows from the source into batches until the end is proven, or until the attempt is to yield. */
async function pump({ read, cutter, batch, request, isToYield }: Pump): Promise<'finished' | 'yielded'> {
  const end = async (final: boolean, goesOn = false) => {
    request.signal.throwIfAborted();
    await batch.end({ final, goesOn });
  };
  for (;;) {
    const pending = read.next();
    // When the attempt ends meanwhile, nobody waits for these rows any more.
    pending.catch(() => {});
    const slice = await untilRows(pending, async () => {
      if (batch.ageMs >= request.limits.timeMs) await end(false);
      return isToYield();
    });
    if (slice === 'yield') {
      await end(false);
      return 'yielded';
    }
    request.signal.throwIfAborted();
    for (const part of slice === null ? cutter.end() : cutter.cut(slice)) {
      await batch.add(part.slice);
      if (!part.ends) continue;
      await end(false, part.goesOn && !isToYield());
      if (isToYield()) return 'yielded';
    }
    if (slice === null) {
      await end(true);
      return 'finished';
    }
    const memoryIsSpent = slice.rows === 0;
    if (memoryIsSpent || batch.ageMs >= request.limits.timeMs) await end(false);
    if (isToYield()) {
      await end(false);
      return 'yielded';
    }
  }
}

/** The next slice; asks `look` every moment while there is none, which may say that it is time to yield. */
async function untilRows(
  pending: Promise<RowSlice | null>,
  look: () => Promise<boolean>,
): Promise<RowSlice | null | 'yield'> {
  for (;;) {
    let timer: NodeJS.Timeout | undefined;
    const moment = new Promise<'moment'>((resolve) => {
      timer = setTimeout(() => resolve('moment'), lookMs);
    });
    try {
      const event = await Promise.race([pending, moment]);
      if (event !== 'moment') return event;
    } finally {
      clearTimeout(timer);
    }
    if (await look()) return 'yield';
  }
}
