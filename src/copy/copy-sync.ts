/** Which sync a copy stands for that no control database knows: by its table, wherever the login puts it, and its name. */
import { copySyncIdOf, type SyncId } from '../domain/ids.ts';
import type { Destination, TableName } from '../ports/destination.ts';
import { parseTableName } from './plan-load.ts';

export async function findCopySync(
  destination: Destination,
  { table, name }: { table: string; name: string },
): Promise<{ sync: SyncId; target: TableName }> {
  const { target } = await destination.describeTarget(parseTableName(table));
  return { sync: copySyncIdOf(`${target.schema}.${target.table}`, name), target };
}
