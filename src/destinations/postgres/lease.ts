/** Takes the lease of a partition for an attempt (`takeLease` of the protocol). */
import { PenstockError } from '../../domain/errors.ts';
import type { Checkpoint, LeaseRequest, PartitionTotals } from '../../ports/partition-writer.ts';
import type { PartitionBounds } from '../../ports/source.ts';
import { asNumbers } from '../../postgres-client/query.ts';
import { inTransaction, type DestinationContext, type Sql } from './destination-session.ts';
import { fetchLoadRow, type LoadRow } from './load-row.ts';
import { lockRun } from './lock-run.ts';
import { modeOf } from './modes/modes.ts';
import { forgetRejects, forgetStopped } from './rejects.ts';

/** What a writer starts from. */
export interface TakenLease {
  lease: LeaseRequest;
  load: LoadRow;
  bounds: PartitionBounds;
  checkpoint: Checkpoint | null;
  totals: PartitionTotals;
  /** Rows that the load has rejected. */
  rejected: number;
}

/** FENCED: a newer attempt holds it, or the load was abandoned. RUN_FINAL. LOAD_LOST: there is no such partition. */
export const takeLease = (context: DestinationContext, lease: LeaseRequest): Promise<TakenLease> =>
  inTransaction(context, 'Taking the lease', async (sql) => {
    const { load, partition } = lease;
    await lockRun(sql, lease.run);
    await sql(`update _penstock.load set phase = 'loading' where id = $1 and phase = 'planned'`, [load]);
    const [taken] = await sql(
      `update _penstock.lease set run = $3, epoch = $4::bigint
        where load = $1 and partition = $2 and (run is distinct from $3 or epoch < $4::bigint) returning true as taken`,
      [load, partition, lease.run, lease.epoch],
    );
    const row = await fetchLoadRow(sql, load);
    if (!row?.partitions.includes(partition))
      throw new PenstockError(
        'LOAD_LOST',
        `The destination does not know partition ${partition} of ${load}.`,
      );
    if (!taken) throw new PenstockError('FENCED', 'A newer attempt holds the lease.');
    if (row.phase === 'abandoned') throw new PenstockError('FENCED', `The load ${load} was abandoned.`);
    await forgetStopped(sql, lease);
    const found = await fetchStart(sql, lease);
    const goesOn = row.plan.resumable || found.checkpoint === null || found.checkpoint.final;
    const start = goesOn ? found : await restart(sql, lease, row);
    return { lease, load: row, ...start };
  });

/**
 * Rule 8: what earlier attempts at a load that cannot resume have written is forgotten in the transaction that takes the
 * lease, rows and checkpoints at once.
 */
async function restart(sql: Sql, { load, partition }: LeaseRequest, row: LoadRow): Promise<Start> {
  await modeOf(row.plan).restart?.(sql, row);
  await forgetRejects(sql, load);
  await sql('delete from _penstock.checkpoint where load = $1 and partition = $2', [load, partition]);
  return fetchStart(sql, { load, partition });
}

type Start = Omit<TakenLease, 'lease' | 'load'>;

async function fetchStart(
  sql: Sql,
  { load, partition }: Pick<LeaseRequest, 'load' | 'partition'>,
): Promise<Start> {
  const [row] = await sql<
    Pick<Start, 'bounds' | 'checkpoint'> & Record<keyof PartitionTotals | 'rejected', string>
  >(
    `select p.bounds, sums.*,
            (select json_build_object('batch', batch, 'keyHi', key_hi, 'final', final) from _penstock.checkpoint
              where load = p.load and partition = p.no order by batch desc limit 1) as checkpoint
       from _penstock.partition p, lateral (
         select coalesce(sum(rows) filter (where partition = p.no), 0)::text as rows,
                (count(*) filter (where partition = p.no))::text as batches,
                coalesce(sum(bytes) filter (where partition = p.no), 0)::text as bytes,
                coalesce(sum(rejected), 0)::text as rejected
           from _penstock.checkpoint where load = p.load) as sums
      where p.load = $1 and p.no = $2`,
    [load, partition],
  );
  const { bounds, checkpoint, ...sums } = row!;
  const { rejected, ...totals } = asNumbers(sums);
  return { bounds, checkpoint, totals, rejected };
}
