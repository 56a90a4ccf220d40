/** The end of a sync: it gives up what it holds here, so that others can have its tables. */
import type { SyncId } from '../../domain/ids.ts';
import type { Sql } from './destination-session.ts';
import { resetSync } from './reset-sync.ts';

/** Whether there never was a `_penstock` here. */
export async function holdsNothing(sql: Sql): Promise<boolean> {
  const [row] = await sql<{ gone: boolean }>(`select to_regnamespace('_penstock') is null as gone`);
  return row!.gone;
}

/** Its targets, its cursor, its unfinished load, its rejects. The rows of its tables stay. */
export async function releaseSync(sql: Sql, sync: SyncId): Promise<void> {
  await resetSync(sql, sync, { deleteRows: false, access: {} });
  await sql('delete from _penstock.target where sync = $1', [sync]);
}
