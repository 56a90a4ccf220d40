/** Takes the lease of a partition for an attempt (rule 1 of the commit protocol). */
import { PenstockError } from '../../domain/errors.ts';
import type { Checkpoint, LeaseRequest, PartitionTotals } from '../../ports/destination.ts';
import { inTransaction, type DestinationContext, type Run } from './destination-session.ts';
import { fetchLoadRow, lockRun, type LoadRow } from './load.ts';

/** What a writer starts from. */
export interface TakenLease {
  lease: LeaseRequest;
  load: LoadRow;
  checkpoint: Checkpoint | null;
  totals: PartitionTotals;
}

/** FENCED: a newer attempt holds it, or the load was abandoned. RUN_FINAL. LOAD_LOST: there is no such partition. */
export const takeLease = (context: DestinationContext, lease: LeaseRequest): Promise<TakenLease> =>
  inTransaction(context, 'Taking the lease', async (run) => {
    const { load, partition } = lease;
    await lockRun(run, lease.run);
    await run(`update _penstock.load set phase = 'loading' where id = $1 and phase = 'planned'`, [load]);
    const [taken] = await run(
      `update _penstock.lease set run = $3, epoch = $4::bigint
        where load = $1 and partition = $2 and (run is distinct from $3 or epoch < $4::bigint) returning true as taken`,
      [load, partition, lease.run, lease.epoch],
    );
    const row = await fetchLoadRow(run, load);
    if (!row?.partitions.includes(partition))
      throw new PenstockError(
        'LOAD_LOST',
        `The destination does not know partition ${partition} of ${load}.`,
      );
    if (!taken) throw new PenstockError('FENCED', 'A newer attempt holds the lease.');
    if (row.phase === 'abandoned') throw new PenstockError('FENCED', `The load ${load} was abandoned.`);
    return { lease, load: row, ...(await fetchNewest(run, lease)) };
  });

async function fetchNewest(
  run: Run,
  { load, partition }: LeaseRequest,
): Promise<{ checkpoint: Checkpoint | null; totals: PartitionTotals }> {
  const [checkpoint] = await run<Checkpoint>(
    `select batch, key_hi as "keyHi", final from _penstock.checkpoint
      where load = $1 and partition = $2 order by batch desc limit 1`,
    [load, partition],
  );
  return { checkpoint: checkpoint ?? null, totals: await sumPartition(run, load, partition) };
}

/** What is committed of a partition, or of a whole load. */
export async function sumPartition(run: Run, load: string, partition?: number): Promise<PartitionTotals> {
  const [sum] = await run<Record<keyof PartitionTotals, string>>(
    `select coalesce(sum(rows), 0)::text as rows, count(*)::text as batches, coalesce(sum(bytes), 0)::text as bytes
       from _penstock.checkpoint where load = $1 and ($2::int is null or partition = $2)`,
    [load, partition ?? null],
  );
  return { rows: Number(sum!.rows), batches: Number(sum!.batches), bytes: Number(sum!.bytes) };
}
