/**
 * One copy from beginning to end in this process, with no servers but the two databases. Loads, leases and checkpoints
 * are those of every run, so that killed and started again it goes on from the newest checkpoint. What the workflow and
 * the control database do elsewhere is done here: slots, failure budget, making earlier runs final.
 *
 * Of two copies of one sync the later one stays: it makes the earlier one's run final, which then ends with RUN_FINAL.
 */
import { codeOf, hasCode, PenstockError, retryClassOf } from '../domain/errors.ts';
import type { Failure } from '../domain/describe-error.ts';
import type { LoadId, RunId, SyncId } from '../domain/ids.ts';
import type { Receipt } from '../domain/run-states.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Destination, DoneLoad, OpenLoad, TableName } from '../ports/destination.ts';
import { copyLoad } from './copy-load.ts';
import type { CopyDeps, CopyProgress } from './copy-partition.ts';
import { findCopySync } from './copy-sync.ts';
import { finishRun, publishLimitsOf } from './finish-run.ts';
import { Patience } from './patience.ts';
import { prepareLoad } from './prepare-load.ts';

export interface CopyOnceRequest {
  /** Its name tells copies into one table apart: each has its own cursor and its own unfinished load. */
  spec: SyncSpec;
  /** New for every call. */
  run: RunId;
  /** A copy that is done already, with no other begun since, is not done again: its receipt is the answer. */
  once: boolean;
  /** What becomes of an unfinished load before anything else: its rows are accepted, or everything is read again. */
  first?: { how: 'accept' } | { how: 'reset'; deleteRows: boolean };
  /** How long it may go on failing without progress. */
  retryForMs: number;
  /** Asked to end: the batches in hand are committed. */
  stop: AbortSignal;
  onLoad: (load: OpenLoad) => void;
  /** All partitions together, with what earlier calls committed. */
  onProgress: (progress: CopyProgress) => void;
  onRetry: (failure: Failure, delayMs: number) => void;
}

export interface CopyOnceResult {
  /** `cancelled`: told to stop; the next call goes on with the load. */
  status: 'succeeded' | 'cancelled';
  sync: SyncId;
  /** Of a cancelled copy what is committed of its load; null when there is none. */
  receipt: Receipt | null;
  /** Nothing was copied: an earlier call had done it. */
  already: boolean;
}

/** A batch ends within 5 s; after this long a stop no longer waits for it. */
const softStopMs = 20_000;

/** Throws what ended it, any code of the pipe; what is committed stays, and the next call goes on with it. */
export async function copyOnce(deps: CopyDeps, request: CopyOnceRequest): Promise<CopyOnceResult> {
  const { destination } = deps;
  const { run, spec, stop } = request;
  await destination.ensureSchema();
  const { sync, target } = await findCopySync(destination, {
    table: spec.destination.table,
    name: spec.name,
    scope: spec.scope,
  });
  const already = (done: DoneLoad | null): CopyOnceResult | null =>
    done && !done.isFollowed ? { status: 'succeeded', sync, receipt: done.receipt, already: true } : null;
  const done = request.once ? await destination.lastDoneLoad(sync) : null;
  const earlier = already(done);
  if (earlier) return earlier;
  // What is accepted is done, too.
  const lastDone = request.once && !request.first ? (done?.loadId ?? null) : undefined;
  try {
    const receipt = await untilStopped(stop, (hard) => copyLoads(deps, request, { sync, lastDone, hard }));
    // What is not forgotten now is forgotten by the next copy.
    if (receipt) await destination.cleanUp().catch(() => {});
    if (receipt) return { status: 'succeeded', sync, receipt, already: false };
  } catch (error) {
    // Where the destination is away the next call makes the run final.
    await destination.closeRun(run).catch(() => {});
    // Another may have done what this one was to do.
    const isReplaced = request.once && retryClassOf(codeOf(error)) === 'fenced';
    const meanwhile = isReplaced ? already(await destination.lastDoneLoad(sync)) : null;
    if (meanwhile) return meanwhile;
    throw hasCode(error, 'RUN_FINAL') ? takenOver(target) : error;
  }
  const { succeeded, receipt } = await destination.closeRun(run);
  if (succeeded) return { status: 'succeeded', sync, receipt, already: false };
  const unfinished = await destination.unfinishedLoad(sync);
  return { status: 'cancelled', sync, receipt: unfinished?.committed ?? null, already: false };
}

const takenOver = ({ schema, table }: TableName): PenstockError =>
  new PenstockError(
    'RUN_FINAL',
    `Another copy into ${schema}.${table} was started later and has taken over.`,
  );

/** Works with a signal that follows `stop` when stopping in good order takes too long. Null when stopped. */
async function untilStopped<T>(
  stop: AbortSignal,
  work: (hard: AbortSignal) => Promise<T>,
): Promise<T | null> {
  const hard = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    timer = setTimeout(() => hard.abort(stop.reason), softStopMs);
  };
  stop.addEventListener('abort', onStop, { once: true });
  try {
    stop.throwIfAborted();
    return await work(hard.signal);
  } catch (error) {
    if (stop.aborted && error === stop.reason) return null;
    throw error;
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
  }
}

/** The receipt of the run. Throws the reason of `stop` when that is why it ended. */
async function copyLoads(
  deps: CopyDeps,
  request: CopyOnceRequest,
  { sync, hard, ...last }: { sync: SyncId; lastDone: LoadId | null | undefined; hard: AbortSignal },
): Promise<Receipt> {
  let { lastDone } = last;
  const { run, spec, stop } = request;
  const patience = new Patience(request.retryForMs, stop, request.onRetry);
  const prepare = () => prepareLoad(deps, { run, sync, syncVersion: 1, spec, lastDone, signal: stop });
  if (request.first) await dealWithUnfinished(deps.destination, request, sync);
  // Refuses before it takes over: what another copy does with another plan goes on then.
  let load: OpenLoad | null = await prepare();
  await deps.destination.takeOver({ run, sync });
  for (;;) {
    const now: OpenLoad = load ?? (await patience.retrying(prepare));
    load = null;
    request.onLoad(now);
    const isCopied =
      now.phase === 'done' || (await copyLoad(deps, { ...request, load: now, hard, patience }));
    const finished = isCopied
      ? await patience.retrying(() =>
          finishRun(deps.destination, { run, load: now.loadId, limits: publishLimitsOf(spec), signal: hard }),
        )
      : ({ outcome: 'stale' } as const);
    if (finished.outcome === 'succeeded') return finished.receipt;
    if (finished.outcome === 'another' && lastDone !== undefined) lastDone = now.loadId;
    // RUN_FINAL when another copy has taken over; else the load went back, or another run holds it.
    if (finished.outcome === 'stale')
      await patience.wait(new PenstockError('FENCED', 'Another attempt works on the load.'));
  }
}

async function dealWithUnfinished(
  destination: Destination,
  { run, first }: CopyOnceRequest,
  sync: SyncId,
): Promise<void> {
  await destination.takeOver({ run, sync });
  if (first?.how === 'reset') await destination.resetSync(sync, first);
  else await destination.acceptLoad(sync);
}
