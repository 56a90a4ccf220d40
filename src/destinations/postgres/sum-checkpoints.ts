/** What is committed of a load. */
import type { PartitionTotals } from '../../ports/partition-writer.ts';
import { asNumbers } from '../../postgres-client/query.ts';
import type { SqlRows } from './destination-session.ts';

/** All partitions together. `rows` are those read, of which `rejected` were not written. */
export async function sumCheckpoints(
  sql: SqlRows,
  load: string,
): Promise<PartitionTotals & { rejected: number }> {
  const [sum] = await sql<Record<keyof PartitionTotals | 'rejected', string>>(
    `select coalesce(sum(rows), 0)::text as rows, count(*)::text as batches, coalesce(sum(bytes), 0)::text as bytes,
            coalesce(sum(rejected), 0)::text as rejected
       from _penstock.checkpoint where load = $1`,
    [load],
  );
  return asNumbers(sum!);
}
