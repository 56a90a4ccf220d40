/** Syncs in the control database (src/ports/sync-store.ts): transactions, and what follows after their commit. */
import type { Sync, SyncStore } from '../ports/sync-store.ts';
import { refusingDoubles } from './database-errors.ts';
import { tellCancelled } from './end-runs.ts';
import { inScope } from './in-scope.ts';
import { createTellIndex } from './index-news.ts';
import { moveNext, skipNext } from './next-slot.ts';
import type { StoreDeps } from './store-deps.ts';
import type { SyncChange } from './sync-change.ts';
import { checkSync, insertSync, replaceSync } from './sync-definition.ts';
import { recordRejectsRead, recordReset } from './sync-audit.ts';
import { deleteSync, pauseSync, resumeSync } from './sync-lifecycle.ts';
import { fetchCadence, listSlots } from './slot-rows.ts';
import { fetchSync, listSyncs } from './sync-rows.ts';

/** The syncs over a pool. */
export function createSyncStore({ pool, announcer, starter, logger }: StoreDeps): SyncStore {
  const tellIndex = createTellIndex(announcer, logger);
  const changed = async (change: Promise<SyncChange>): Promise<Sync> => {
    const { sync, news } = await change;
    await tellIndex(news);
    return sync;
  };
  const uniquely = (name: string, change: () => Promise<SyncChange>): Promise<Sync> =>
    changed(
      refusingDoubles(
        'sync_name_is_unique',
        { message: `there is a sync ${name} already`, pointer: '/name' },
        change,
      ),
    );
  return {
    check: (scope, sync) => inScope(pool, scope, (tx) => checkSync(tx, scope.tenantId, sync)),
    create: (scope, spec) =>
      uniquely(spec.name, () => inScope(pool, scope, (tx) => insertSync(tx, scope, spec))),
    fetch: (scope, ref) => inScope(pool, scope, (tx) => fetchSync(tx, scope, ref)),
    list: (scope, filter, page) => inScope(pool, scope, (tx) => listSyncs(tx, filter, page)),
    replace: (scope, ref, spec, ifVersion) =>
      uniquely(spec.name, () =>
        inScope(pool, scope, (tx) => replaceSync(tx, scope, { ref, spec, ifVersion })),
      ),
    delete: async (scope, ref, ifVersion) => {
      const { news, cancelled } = await inScope(pool, scope, (tx) =>
        deleteSync(tx, scope, { ref, ifVersion }),
      );
      await tellIndex(news);
      await tellCancelled({ starter, logger }, cancelled);
    },
    pause: (scope, ref, pause) =>
      changed(inScope(pool, scope, (tx) => pauseSync(tx, scope, { ref, ...pause }))),
    resume: (scope, ref) => changed(inScope(pool, scope, (tx) => resumeSync(tx, scope, ref))),
    skipNext: (scope, ref, skip) =>
      changed(inScope(pool, scope, (tx) => skipNext(tx, scope, { ref, ...skip }))),
    moveNext: (scope, ref, move) =>
      changed(inScope(pool, scope, (tx) => moveNext(tx, scope, { ref, ...move }))),
    recordRejectsRead: (scope, ref) => inScope(pool, scope, (tx) => recordRejectsRead(tx, scope, ref)),
    recordReset: (scope, ref, how) => inScope(pool, scope, (tx) => recordReset(tx, scope, { ref, how })),
    fetchCadence: (scope, ref, most) =>
      inScope(pool, scope, async (tx) => fetchCadence(tx, (await fetchSync(tx, scope, ref)).id, most)),
    listSlots: (scope, ref, page) =>
      inScope(pool, scope, async (tx) => listSlots(tx, (await fetchSync(tx, scope, ref)).id, page)),
  };
}
