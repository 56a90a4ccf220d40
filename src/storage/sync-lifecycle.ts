/**
 * Deleting, pausing and resuming a sync, each in one transaction that settles it under what was before it changes
 * anything. They return what the index must hear after the commit.
 */
import type { PauseTerms } from '../ports/pause-store.ts';
import type { Scope } from '../ports/scope.ts';
import { checkVersion } from './database-errors.ts';
import { endRuns } from './end-runs.ts';
import { insertAudit, insertEvent } from './in-scope.ts';
import type { IndexNews } from './index-news.ts';
import { endPauses, openPause } from './pauses.ts';
import { fetchQueuedOffers } from './run-offers.ts';
import { settle } from './settle.ts';
import { newsOf, type SyncChange } from './sync-change.ts';
import { fetchSync, lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';
import { refuseWhileFollowed } from './upstream.ts';

/**
 * Ends a sync: settles it a last time, drops its queued runs and asks the active ones to cancel. Its tables are given up
 * by the dispatcher, once its runs have ended.
 */
export async function deleteSync(
  tx: Tx,
  scope: Scope,
  { ref, ifVersion }: { ref: string; ifVersion: number | undefined },
): Promise<{ news: IndexNews; cancelled: readonly string[] }> {
  const { id, tenantId, version, spec } = await lockSync(tx, scope, ref);
  checkVersion(`sync ${spec.name}`, version, ifVersion);
  await refuseWhileFollowed(tx, { id, tenantId, name: spec.name });
  await settle(tx, [id]);
  await tx.query(
    `update penstock.sync set status = 'deleted', next_nominal_at = null, next_due_at = null, after_sync_id = null,
       after_when = null, release_at = clock_timestamp(), updated_at = clock_timestamp()
     where id = $1`,
    [id],
  );
  const { released, cancelled } = await endRuns(tx, { column: 'sync_id', id }, 'sync_deleted');
  await insertAudit(tx, scope, { tenantId, action: 'sync.delete', objectId: id });
  await insertEvent(tx, { tenantId, kind: 'sync.deleted', syncId: id });
  return { news: { due: [{ syncId: id, version, nextDueAtMs: null }], released }, cancelled };
}

/** Opens a pause, or changes the one that is open. */
export async function pauseSync(
  tx: Tx,
  scope: Scope,
  { ref, reason, until }: PauseTerms & { ref: string },
): Promise<SyncChange> {
  const { id: syncId, tenantId } = await lockSync(tx, scope, ref);
  const settledBefore = await settle(tx, [syncId]);
  await openPause(tx, { tenantId, syncId }, { reason, until });
  await insertAudit(tx, scope, { tenantId, action: 'sync.pause', objectId: syncId, data: { reason, until } });
  await insertEvent(tx, { tenantId, kind: 'sync.paused', syncId, data: { reason, until } });
  const settledAfter = await settle(tx, [syncId]);
  return { sync: await fetchSync(tx, scope, syncId), news: newsOf(settledBefore, settledAfter) };
}

/** Ends the open pause; runs that waited for it are offered again. */
export async function resumeSync(tx: Tx, scope: Scope, ref: string): Promise<SyncChange> {
  const { id, tenantId, pause } = await lockSync(tx, scope, ref);
  if (!pause) return { sync: await fetchSync(tx, scope, id), news: {} };
  const settledBefore = await settle(tx, [id]);
  await endPauses(tx, { tenantId, syncId: id });
  await insertAudit(tx, scope, { tenantId, action: 'sync.resume', objectId: id });
  await insertEvent(tx, { tenantId, kind: 'sync.resumed', syncId: id });
  const settledAfter = await settle(tx, [id]);
  const news = newsOf(settledBefore, settledAfter);
  return {
    sync: await fetchSync(tx, scope, id),
    news: { ...news, offered: [...(news.offered ?? []), ...(await fetchQueuedOffers(tx, id))] },
  };
}
