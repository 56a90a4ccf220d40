/** Which sync a copy stands for that no control database knows: by its table, wherever the login puts it, scope and name. */
import { copySyncIdOf, type SyncId } from '../domain/ids.ts';
import type { TargetScope } from '../domain/target-scope-spec.ts';
import type { Destination, TableName } from '../ports/destination.ts';
import { parseTableName } from './plan-load.ts';

export interface CopySync {
  readonly table: string;
  readonly name: string;
  readonly scope?: TargetScope | undefined;
}

export async function findCopySync(
  destination: Destination,
  { table, name, scope }: CopySync,
): Promise<{ sync: SyncId; target: TableName }> {
  const { target } = await destination.describeTarget(parseTableName(table));
  return { sync: copySyncIdOf(`${target.schema}.${target.table}`, name, scope), target };
}
