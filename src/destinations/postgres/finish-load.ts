/**
 * Makes a load done (`finishLoad` of the protocol): proves that it is complete, publishes it as its mode does, moves the
 * cursor, stores the receipt. A mode that publishes in several transactions is called again until the load is done.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode, PenstockError } from '../../domain/errors.ts';
import type { LoadId, RunId } from '../../domain/ids.ts';
import { addsUp, type Receipt } from '../../domain/run-states.ts';
import type { FinishedLoad, FinishRequest, PublishLimits } from '../../ports/destination.ts';
import { asNumbers } from '../../postgres-client/query.ts';
import { closeRun } from './close-run.ts';
import { moveCursor } from './cursor.ts';
import { inTransaction, publishing, type DestinationContext, type Sql } from './destination-session.ts';
import { abandonLoad, isLasting, leavesWork } from './load.ts';
import { fetchLoadRow, type LoadRow } from './load-row.ts';
import { lockRun, lockRunRow, runFinal } from './lock-run.ts';
import type { Publishing } from './modes/mode.ts';
import { modeOf } from './modes/modes.ts';
import { publishRefused } from './publish-refused.ts';
import { refusalOf } from './refusal.ts';
import { settleRejects } from './rejects.ts';
import { requireTarget } from './require-target.ts';

const defaultLimits: PublishLimits = { chunkRows: 50_000, maxDeletePercent: 20 };

/** END_NOT_PROVEN, TARGET_CHANGED, RECEIPT_MISMATCH, CURSOR_MOVED, RUN_FINAL, LOAD_LOST; FENCED when the load was abandoned. */
export async function finishLoad(context: DestinationContext, request: FinishRequest): Promise<FinishedLoad> {
  const by = publishingBy(context, request.limits);
  const sinceMs = performance.now();
  for (;;) {
    request.signal?.throwIfAborted();
    try {
      const step = await publishing(context, request.load, (sql) => finishStep(sql, request, by));
      if (step && 'refused' in step) throw step.refused;
      if (step) return step;
    } catch (error) {
      if (hasCode(error, 'VALUE_REFUSED')) throw await judgeRefusal(context, request, error as PenstockError);
      const isOver = performance.now() - sinceMs >= context.timeouts.swapWaitMs;
      if (isOver || !hasCode(error, 'TARGET_LOCKED')) throw error;
      await delay(swapPauseMs * (0.5 + Math.random()));
    }
  }
}

/**
 * What an earlier run read and the target refuses may be mended at the source by now: given up, where that leaves no trace,
 * so that this run reads for itself. Who holds the load publishes it after all: to wait would be to end that one.
 * DESTINATION_BUSY.
 */
const judgeRefusal = (
  context: DestinationContext,
  { run: runId, load: id }: FinishRequest,
  error: PenstockError,
): Promise<PenstockError> =>
  inTransaction(context, 'Noting why the load is refused', async (sql) => {
    await lockRun(sql, runId);
    const load = await fetchLoadRow(sql, id, 'for update nowait');
    if (!load || load.phase === 'done' || load.phase === 'abandoned') return error;
    if (load.openedBy !== runId && !isLasting(load)) {
      await abandonLoad(sql, load);
      return fenced(id);
    }
    const refusal = refusalOf(error.cause ?? {});
    return refusal ? publishRefused(sql, load, refusal) : error;
  });

/** Between two tries to lock the target, on average: those who read meanwhile wait for none of them. */
const swapPauseMs = 300;

/** What a finisher may do: what its run allows, as the role of its connection, and with time-outs for locks. */
export const publishingBy = (
  { access, timeouts }: DestinationContext,
  limits: PublishLimits = defaultLimits,
): Publishing => ({ ...limits, role: access.databaseRole, lockMs: timeouts.swapLockMs });

/** One transaction of it; null when there is more to publish. `refused` is to be thrown after the commit. */
async function finishStep(
  sql: Sql,
  request: FinishRequest,
  by: Publishing,
): Promise<FinishedLoad | { refused: PenstockError } | null> {
  // Of this look only what never changes is used, the plan, and what is for good.
  const load = await fetchLoadRow(sql, request.load);
  if (!load) throw new PenstockError('LOAD_LOST', `The destination does not know the load ${request.load}.`);
  if (load.phase === 'done') return answer(load, load.receipt as Receipt, request.run);
  // Who publishes at length shares the run's row: whoever else asks for it would have to wait, and then end the publisher.
  const closesRun = request.closesRun && !modeOf(load.plan).publish;
  const isFinal = await lockRunRow(sql, request.run, closesRun ? 'no key update' : 'share');
  // A final run's finisher waits for nobody: another may be publishing the load.
  const locked = (await fetchLoadRow(sql, request.load, isFinal ? '' : 'for update'))!;
  if (locked.phase === 'done') return answer(locked, locked.receipt as Receipt, request.run);
  if (isFinal) throw runFinal(request.run);
  if (locked.phase === 'abandoned') throw fenced(request.load);
  // Whoever still writes is waited for, or ended; nobody writes after this.
  await sql('select from _penstock.lease where load = $1 order by partition for update', [request.load]);
  await requireTarget(sql, locked);
  await proveComplete(sql, locked);
  const published = await modeOf(locked.plan).publish?.(sql, locked, by);
  if (published?.phase === 'abandoned') {
    await abandonLoad(sql, locked);
    // What an earlier run read is no reason for this one to fail: it reads for itself.
    return { refused: locked.openedBy === request.run ? published.refused : fenced(request.load) };
  }
  await sql('update _penstock.lease set run = null where load = $1', [request.load]);
  if (published && published.phase !== 'done') {
    await sql('update _penstock.load set phase = $2 where id = $1', [request.load, published.phase]);
    return null;
  }
  const receipt = await sumReceipt(sql, request.load);
  if (!addsUp(receipt))
    throw new PenstockError('RECEIPT_MISMATCH', `The counts of the load ${request.load} do not add up.`);
  if (locked.plan.movesCursor) await moveCursor(sql, locked);
  await sql(
    `update _penstock.load set phase = 'done', finished_by = $2, receipt = $3, closed_at = now() where id = $1`,
    [request.load, request.run, JSON.stringify(receipt)],
  );
  await settleRejects(sql, locked);
  await modeOf(locked.plan).clear?.(sql, locked);
  const finished = answer(locked, receipt, request.run);
  if (finished.another || !closesRun) return finished;
  return { ...finished, outcome: await closeRun(sql, request.run) };
}

const fenced = (load: LoadId): PenstockError =>
  new PenstockError('FENCED', `The load ${load} was abandoned.`);

const answer = (load: LoadRow, receipt: Receipt, run: RunId): FinishedLoad => ({
  receipt,
  another: leavesWork(load, run),
});

/** Invariant 1: in every partition the batches are 1..n, chained, and the last one alone is final. */
async function proveComplete(sql: Sql, load: LoadRow): Promise<void> {
  const complete = await sql<{ partition: number }>(
    `select partition from (
       select partition, batch, final, key_lo, row_number() over w as position,
              lag(key_hi) over w as before, count(*) over (partition by partition) as batches
         from _penstock.checkpoint where load = $1
       window w as (partition by partition order by batch)) as c
      group by partition
     having bool_and(batch = position and key_lo is not distinct from before and final = (position = batches))`,
    [load.id],
  );
  const proven = new Set(complete.map((row) => row.partition));
  const missing = load.partitions.find((no) => !proven.has(no));
  if (missing !== undefined)
    throw new PenstockError('END_NOT_PROVEN', `Partition ${missing} of the load ${load.id} is not complete.`);
}

const receiptColumns = `coalesce(sum(rows), 0)::text as read, coalesce(sum(inserted), 0)::text as inserted,
  coalesce(sum(updated), 0)::text as updated, coalesce(sum(unchanged), 0)::text as unchanged,
  coalesce(sum(deduplicated), 0)::text as deduplicated, coalesce(sum(rejected), 0)::text as rejected,
  coalesce(sum(tombstones), 0)::text as tombstones,
  (coalesce(sum(deleted), 0) + (select coalesce(sum(deleted), 0) from _penstock.deletion where load = $1))::text as deleted, count(*)::text as batches, coalesce(sum(bytes), 0)::text as bytes`;

/** What is committed of a load. */
export async function sumReceipt(sql: Sql, load: LoadId): Promise<Receipt> {
  const [sums] = await sql<Record<keyof Receipt, string>>(
    `select ${receiptColumns} from _penstock.checkpoint where load = $1`,
    [load],
  );
  return asNumbers(sums!);
}
