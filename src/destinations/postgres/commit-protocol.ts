/**
 * The commit protocol: how a row gets into a target exactly once, whatever is killed, frozen or cut off.
 *
 * Tables (`_penstock`, see schema.ts): run(id, final) · load(id, frozen plan, window, phase) · partition · lease(load,
 * partition, run, epoch) · checkpoint(load, partition, batch, key_lo, key_hi, counts, final) · cursor(sync, value).
 *
 * Invariants
 *  1. The checkpoints of a partition are batches 1..n, chained (key_lo of each is key_hi of the one before), and only the
 *     last is final. The rows of a batch and its checkpoint are committed by one transaction, or neither is.
 *  2. At the moment of a commit the lease names the writer's run and epoch, and the newest checkpoint is the one that the
 *     writer goes on from. Epochs of a run only rise.
 *  3. Nothing commits for a run whose row is final.
 *  4. A load does what its frozen plan says, whoever executes it.
 *  5. The cursor moves once per load, from its low to its high, in the transaction that makes the load done.
 *  6. read = inserted + updated + unchanged + deduplicated + rejected + tombstones, for each checkpoint and for each load.
 *     What is deleted is counted apart: by the checkpoints whose tombstones did it, and by the deletions of a mirror.
 *
 * States of a load: planned → loading → done, or abandoned from either. A mode whose publishing takes more than one
 * transaction (modes/mode.ts) has `loaded` between loading and done.
 * States of an attempt: none → leased → in a batch → leased → … → ended. It never goes back: after any error of a
 * connection, and after a COMMIT without an answer, it ends, and the next attempt (with a higher epoch) asks the rows.
 *
 * Locks are taken in this order: run, load, lease (several: by number), cursor.
 *
 * Transitions
 *  takeLease    (lease.ts)     none → leased. Locks the run's row `for share`, final: end. Writes run and epoch into the lease
 *               where the run is another or the epoch is lower; no row: FENCED. The row lock waits for a batch that is
 *               still open under the lease, and ends its transaction when it does not end by itself (nothing else would:
 *               while COPY waits for a byte of a frozen writer, the server heeds no time-out). Then, in a later
 *               statement, the newest checkpoint is read: by now the fate of any COMMIT without an answer is known.
 *               Where the query cannot resume and no checkpoint is final, rows and checkpoints of earlier attempts go in
 *               this same transaction: invariant 1 holds of none.
 *  beginBatch   (this file)    leased → in a batch. Read committed, since an older snapshot would not see a newer checkpoint.
 *               Locks the lease `for share`, where run and epoch are its own: no other attempt can take it before this
 *               transaction ends. Compares the newest checkpoint: a destination that lost its tail in a failover is
 *               noticed here. No row is sent before both are known, and without the lease the server opens no COPY.
 *  commitBatch  (this file)    in a batch → leased. The checkpoint and COMMIT in one round trip; where the next rows are at
 *               hand, beginBatch goes in the same. Then the answer to COMMIT lies in the server until that has its locks,
 *               a lock time-out at most, or has failed: progress is told late, and a connection lost meanwhile leaves
 *               the commit unknown, as it does anywhere. The primary key refuses a batch that is there already; the oid
 *               of the target and its columns must be the frozen ones.
 *  finishLoad   (finish-load.ts) loading → done. Takes every lease, proves invariant 1, publishes what is staged, moves the
 *               cursor, stores the receipt. A publisher bears a name as a batch does, and is ended like one by who waits.
 *               Asked to, with nothing to publish and no work left for the run, it does closeRun in the same
 *               transaction.
 *  closeRun     (close-run.ts) Marks the run final and clears its leases: from then on beginBatch and takeLease refuse it.
 *  abandonLoad  (load.ts)      planned, loading → abandoned; clears the leases.
 */
import { PenstockError } from '../../domain/errors.ts';
import type { BatchCounts, BatchEnd, Checkpoint, LeaseRequest } from '../../ports/partition-writer.ts';
import { literal, textArray } from '../../postgres-client/quote.ts';
import { columnsState } from './target-columns.ts';
import { beginStatement, type DestinationContext } from './destination-session.ts';

/** What a batch transaction is called in pg_stat_activity; who waits ends transactions with such names only. */
const batchName = ({ load, partition }: LeaseRequest): string => `penstock:${load}:${partition}`;

const wherePartition = ({ load, partition }: LeaseRequest): string =>
  `load = ${literal(load)} and partition = ${partition}`;

const whereHeld = (lease: LeaseRequest): string =>
  `${wherePartition(lease)} and run = ${literal(lease.run)} and epoch = ${literal(lease.epoch)}::bigint`;

/**
 * Begins a batch in one round trip. Its two selects tell whether the lease is held and which checkpoint is the newest:
 * give the results to `checkBegun`.
 *
 * @param schema of the target, quoted
 */
export function beginBatch(context: DestinationContext, lease: LeaseRequest, schema: string): string {
  return [
    beginStatement(context, { application_name: batchName(lease) }),
    `set local search_path to ${schema}, pg_temp`,
    'set constraints all immediate',
    `select true as mine from _penstock.lease where ${whereHeld(lease)} for share`,
    `select coalesce(max(batch), 0) as newest from _penstock.checkpoint where ${wherePartition(lease)}`,
  ].join('; ');
}

/**
 * Fails unless the lease is held: what follows in the same round trip is not begun. No time-out ends a COPY that waits for
 * bytes, and nobody who needs the lease would meet one without it.
 */
export const stopUnlessHeld = (lease: LeaseRequest): string =>
  `select 1 / count(*) as held from _penstock.lease where ${whereHeld(lease)}`;

type Results = readonly { command: string; rows: unknown[] }[];

const selected = (results: Results): Results => results.filter(({ command }) => command === 'SELECT');

/** Both selects were answered, whatever came after them. */
export const hasBegun = (results: Results): boolean => selected(results).length >= 2;

/** FENCED unless the lease is held and the newest checkpoint is the one that the writer knows. */
export function checkBegun(results: Results, known: Checkpoint | null): void {
  const [held, newest] = selected(results).map((result) => result.rows[0]);
  if (!held) throw new PenstockError('FENCED', 'Another attempt has taken the lease, or the run is final.');
  if (Number((newest as { newest: number | string }).newest) !== (known?.batch ?? 0))
    throw new PenstockError('FENCED', 'The newest checkpoint is not the one that this attempt wrote.');
}

export interface CommittedBatch {
  lease: LeaseRequest;
  /** The checkpoint before this one. */
  known: Checkpoint | null;
  end: BatchEnd;
  counts: BatchCounts;
  /** The target's name, quoted, and the oid that it had when the load was opened. */
  target: string;
  relation: string;
  /** The target's columns that the load writes, and what they were then. */
  columns: readonly string[];
  columnsState: string;
}

export const rejectedRows = ({ rejects = [] }: Pick<BatchEnd, 'rejects'>): number =>
  rejects.reduce((sum, { rows }) => sum + rows, 0);

/** Records the checkpoint and commits, in one round trip. */
export function commitBatch({ lease, known, end, counts, ...frozen }: CommittedBatch): string {
  const relation = `${literal(frozen.relation)}::oid`;
  const sameTarget = `(select oid from pg_catalog.pg_class
      where oid = ${relation} and oid = pg_catalog.to_regclass(${literal(frozen.target)})
        and ${columnsState(relation, frozen.columns)} = ${literal(frozen.columnsState)})`;
  const values = [
    literal(lease.load),
    lease.partition,
    (known?.batch ?? 0) + 1,
    textArray(known?.keyHi ?? null),
    textArray(end.keyHi),
    end.rows,
    counts.inserted,
    counts.updated,
    counts.unchanged,
    counts.deduplicated,
    rejectedRows(end),
    counts.tombstones,
    counts.deleted,
    end.bytes,
    end.final,
    sameTarget,
    literal(lease.run),
    `${literal(lease.epoch)}::bigint`,
  ];
  return `insert into _penstock.checkpoint (load, partition, batch, key_lo, key_hi, rows, inserted, updated, unchanged,
      deduplicated, rejected, tombstones, deleted, bytes, final, relation, run, epoch)
    values (${values.join(', ')}); commit`;
}
