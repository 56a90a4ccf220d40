/** Takes the lease of a partition for an attempt (`takeLease` of the protocol). */
import { PenstockError } from '../../domain/errors.ts';
import type { Checkpoint, LeaseRequest, PartitionTotals } from '../../ports/partition-writer.ts';
import type { PartitionBounds } from '../../ports/source.ts';
import { inTransaction, type DestinationContext, type Sql } from './destination-session.ts';
import { fetchLoadRow, type LoadRow } from './load-row.ts';
import { lockRun } from './lock-run.ts';
import { modeOf } from './modes/modes.ts';
import { forgetRejects, forgetStopped } from './rejects.ts';
import { sumCheckpoints } from './sum-checkpoints.ts';

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
    const newest = await fetchNewest(sql, lease);
    const goesOn = row.plan.resumable || newest.checkpoint === null || newest.checkpoint.final;
    const start = goesOn ? newest : await restart(sql, lease, row);
    const bounds = await fetchBounds(sql, lease);
    const { rejected } = await sumCheckpoints(sql, load);
    return { lease, load: row, bounds, ...start, rejected };
  });

/**
 * Rule 8: what earlier attempts at a load that cannot resume have written is forgotten in the transaction that takes the
 * lease, rows and checkpoints at once.
 */
async function restart(sql: Sql, { load, partition }: LeaseRequest, row: LoadRow): Promise<Newest> {
  await modeOf(row.plan).restart?.(sql, row);
  await forgetRejects(sql, load);
  await sql('delete from _penstock.checkpoint where load = $1 and partition = $2', [load, partition]);
  return { checkpoint: null, totals: await sumCheckpoints(sql, load, partition) };
}

async function fetchBounds(sql: Sql, { load, partition }: LeaseRequest): Promise<PartitionBounds> {
  const [row] = await sql<{ bounds: PartitionBounds }>(
    'select bounds from _penstock.partition where load = $1 and no = $2',
    [load, partition],
  );
  return row!.bounds;
}

type Newest = Pick<TakenLease, 'checkpoint' | 'totals'>;

async function fetchNewest(sql: Sql, { load, partition }: LeaseRequest): Promise<Newest> {
  const [checkpoint] = await sql<Checkpoint>(
    `select batch, key_hi as "keyHi", final from _penstock.checkpoint
      where load = $1 and partition = $2 order by batch desc limit 1`,
    [load, partition],
  );
  return { checkpoint: checkpoint ?? null, totals: await sumCheckpoints(sql, load, partition) };
}
