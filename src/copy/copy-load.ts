/** The partitions of one load, several at a time, each called until it is complete; for copies without a workflow. */
import { PenstockError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { OpenLoad } from '../ports/destination.ts';
import { attemptLimits } from './attempt-limits.ts';
import { copyPartition, type CopyDeps, type CopyProgress } from './copy-partition.ts';
import { epochOf } from './epoch.ts';
import type { Patience } from './patience.ts';

export interface CopyLoadRequest {
  run: RunId;
  load: OpenLoad;
  spec: SyncSpec;
  patience: Patience;
  /** Asked to end: the batches in hand are committed. */
  stop: AbortSignal;
  /** Nothing more may be committed. */
  hard: AbortSignal;
  onProgress: (progress: CopyProgress) => void;
}

/** This process' calls; with its clock they give epochs that rise within a run, and a run is of one process. */
let calls = 0;

/**
 * True once every partition is complete; false when the load is not this run's any more, or not known any more. Throws
 * what ended it, the reason of `stop` when told; the other slots have committed what they had in hand by then.
 */
export async function copyLoad(deps: CopyDeps, request: CopyLoadRequest): Promise<boolean> {
  const { load, spec, stop } = request;
  const waiting = [...load.partitions];
  const ending = new AbortController();
  const anyEnd = AbortSignal.any([stop, ending.signal]);
  const progress = followProgress(request);
  const slot = async (): Promise<boolean> => {
    let isComplete = true;
    try {
      for (let no = waiting.shift(); isComplete && no !== undefined; no = waiting.shift()) {
        isComplete = false;
        isComplete = await copyUntilComplete(deps, request, { no, ending: anyEnd, note: progress(no) });
      }
      return isComplete;
    } finally {
      if (!isComplete) ending.abort();
    }
  };
  const slots = Array.from({ length: Math.min(spec.limits.parallel, waiting.length) }, slot);
  const ends = await Promise.allSettled(slots);
  stop.throwIfAborted();
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return ends.every((end) => end.status === 'fulfilled' && end.value);
}

interface Partition {
  no: number;
  ending: AbortSignal;
  note: (counts: CopyProgress) => void;
}

async function copyUntilComplete(
  deps: CopyDeps,
  { run, load, spec, hard, patience }: CopyLoadRequest,
  { no, ending, note }: Partition,
): Promise<boolean> {
  while (!ending.aborted) {
    const result = await patience.retrying(() =>
      copyPartition(deps, {
        run,
        load: load.loadId,
        partition: no,
        epoch: epochOf(++calls, Date.now()),
        ...attemptLimits(spec),
        signal: hard,
        drain: () => ending.aborted,
        onProgress: note,
      }),
    );
    if (result.outcome === 'finished') return true;
    if (result.outcome !== 'yielded') return false;
    if (result.error) await patience.wait(new PenstockError(result.error.code, result.error.message));
  }
  return false;
}

/** Sums the partitions; what is committed starts the failure budget again. */
function followProgress({ patience, onProgress }: CopyLoadRequest) {
  const known = new Map<number, CopyProgress>();
  return (no: number) => (counts: CopyProgress) => {
    const before = known.get(no);
    if (before && counts.batches > before.batches) patience.progressed();
    known.set(no, counts);
    const sum = { rows: 0, batches: 0, bytes: 0 };
    for (const { rows, batches, bytes } of known.values()) {
      sum.rows += rows;
      sum.batches += batches;
      sum.bytes += bytes;
    }
    onProgress(sum);
  };
}
