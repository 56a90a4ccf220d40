/** What a user may do about an unfinished load: keep its rows, or begin again. */
import { PenstockError } from '../../domain/errors.ts';
import type { SyncId } from '../../domain/ids.ts';
import type { Run } from './destination-session.ts';
import { abandonLoad, lockOpenLoad } from './load.ts';

export async function acceptLoad(run: Run, sync: SyncId): Promise<void> {
  const open = await lockOpenLoad(run, sync);
  if (open) await abandonLoad(run, open);
}

/** TARGET_OWNED when rows are to be deleted that may be another sync's. */
export async function resetSync(run: Run, sync: SyncId, deleteRows: boolean): Promise<void> {
  await acceptLoad(run, sync);
  await run('delete from _penstock.cursor where sync = $1', [sync]);
  // The cursor's lock may have waited for a run that opened a load from it: that one could never be finished.
  await acceptLoad(run, sync);
  await run('delete from _penstock.reject where sync = $1', [sync]);
  if (!deleteRows) return;
  const tables = await run<{ relation: string; name: string; others: number }>(
    `select t.relation::text, format('%I.%I', n.nspname, c.relname) as name,
            (select count(*)::int from _penstock.target o where o.relation = t.relation and o.sync <> $1) as others
       from _penstock.target t
       join pg_class c on c.oid = t.relation
       join pg_namespace n on n.oid = c.relnamespace
      where t.sync = $1`,
    [sync],
  );
  for (const { name, others } of tables) {
    if (others > 0) throw new PenstockError('TARGET_OWNED', `Another sync writes to ${name} as well.`);
    await run(`truncate ${name}`);
  }
}
