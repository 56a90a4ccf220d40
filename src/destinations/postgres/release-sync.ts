/** The end of a sync: it gives up what it holds here, so that others can have its tables. */
import type { SyncId } from '../../domain/ids.ts';
import type { Run } from './destination-session.ts';
import { resetSync } from './reset-sync.ts';

/** Whether there never was a `_penstock` here. */
export async function holdsNothing(run: Run): Promise<boolean> {
  const [row] = await run<{ gone: boolean }>(`select to_regnamespace('_penstock') is null as gone`);
  return row!.gone;
}

/** Its targets, its cursor, its unfinished load, its rejects. The rows of its tables stay. */
export async function releaseSync(run: Run, sync: SyncId): Promise<void> {
  await resetSync(run, sync, { deleteRows: false });
  await run('delete from _penstock.target where sync = $1', [sync]);
}
