/**
 * Copies one partition of a load: one source statement in key order, cut into batches, one destination transaction
 * each. Whatever happens, what is committed is vouched for by a checkpoint, and the next attempt goes on after it.
 *
 * Rows stream into the open transaction while the source is read; the bytes of a batch are kept until its commit is
 * known, for the case that it has to be sent again another way.
 */
import { codeOf, PenstockError, retryClassOf, type ErrorCode } from '../domain/errors.ts';
import type { LoadId, RunId } from '../domain/ids.ts';
import type { Destination, OpenLoad } from '../ports/destination.ts';
import type { PartitionWriter } from '../ports/partition-writer.ts';
import type { RowSlice, Source, SourceRead } from '../ports/source.ts';
import { BatchInHand } from './batch-in-hand.ts';
import { createCutter, type BatchCutter } from './batch-cutter.ts';
import { paceRead } from './pace-read.ts';
import { takesNullKeys } from './plan-partitions.ts';
import type { ReadPace } from './read-pace.ts';

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
  /** A source statement that has brought a batch gives way to another one after this long: its snapshot holds up vacuum. */
  readAnewAfterMs: number;
  rowTimeoutMs: number;
  /** Absent: as fast as the source gives. */
  pace?: ReadPace | undefined;
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
  const { run, partition, epoch, signal } = request;
  const load = await destination.fetchLoad(request.load);
  if (!load) throw new PenstockError('LOAD_LOST', `The destination does not know the load ${request.load}.`);
  if (load.phase === 'done') return 'finished';
  const { maxRejects } = request.limits;
  const writer = await destination.takeLease({ run, load: request.load, partition, epoch, maxRejects });
  const isLate = since(request.yieldAfterMs);
  let read: SourceRead | undefined;
  try {
    request.onProgress({ ...writer.totals });
    while (!writer.checkpoint?.final) {
      await read?.close();
      read = undefined;
      signal.throwIfAborted();
      read = await source.read(readRequest(load, writer, request));
      if (request.pace) read = paceRead(read, { pace: request.pace, format: load.plan.format, signal });
      const end = await copyRows({ read, load, writer, request, done, isLate });
      if (end === 'yielded' && (request.drain() || isLate())) return 'yielded';
    }
    return 'finished';
  } finally {
    await Promise.all([read?.close(), writer.close()]);
  }
}

/** Whether so much time has passed since this call. */
function since(ms: number): () => boolean {
  const startedMs = performance.now();
  return () => performance.now() - startedMs >= ms;
}

interface Stretch {
  read: SourceRead;
  load: OpenLoad;
  writer: PartitionWriter;
  request: CopyRequest;
  /** Counts what is committed. */
  done: CopyProgress;
  /** Whether the attempt has had its time. */
  isLate: () => boolean;
}

/** Copies what one statement of the source brings, until its end or until it is to give way. */
function copyRows({ read, load, writer, request, done, isLate }: Stretch): Promise<'finished' | 'yielded'> {
  const { columns, order, uniqueKey, format, resumable } = load.plan;
  const { limits, signal } = request;
  const cutter = createCutter({
    format,
    columns,
    key: order,
    uniqueKey,
    readsNullKeys: takesNullKeys(load.plan) && writer.bounds.nulls === 'only',
    maxRows: limits.rows,
    maxBytes: limits.bytes,
  });
  let hasCommitted = false;
  const batch = new BatchInHand({
    writer,
    cutter,
    rows: { format, columns, key: order, uniqueKey },
    signal,
    onCommit: (counts) => {
      hasCommitted = true;
      done.rows += counts.rows;
      done.bytes += counts.bytes;
      done.batches++;
      request.onProgress({ ...writer.totals });
    },
  });
  const isOld = since(request.readAnewAfterMs);
  // A query that begins again, or whose first row takes longer than that, would else begin again and again.
  const givesWay = () => resumable && hasCommitted && (isOld() || isLate());
  return pump({ read, cutter, batch, request, isToYield: () => request.drain() || givesWay() });
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
  // What waits for its turn leaves the worker's memory to others.
  readsAhead: !request.pace?.share,
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

/** Rows from the source into batches until the end is proven, or until it is to yield. */
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
