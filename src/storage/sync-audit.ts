/** What is noted of a sync before something is done in its destination, which no transaction here can cover. */
import { PenstockError } from '../domain/errors.ts';
import type { RunId, SyncId } from '../domain/ids.ts';
import type { ResetWay } from '../domain/reset-ways.ts';
import { activeStatuses } from '../domain/run-states.ts';
import type { Scope } from '../ports/scope.ts';
import { insertAudit, insertEvent } from './in-scope.ts';
import { forgetFingerprints } from './source-fingerprint.ts';
import { fetchSync, lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';

/** Notes that the sync's rows are about to be read again or kept. RUN_STATE while a run is at work. */
export async function recordReset(
  tx: Tx,
  scope: Scope,
  { ref, how }: { ref: string; how: ResetWay },
): Promise<SyncId> {
  const { id, tenantId, spec } = await lockSync(tx, scope, ref);
  const { rows } = await tx.query<{ id: RunId }>(
    'select id from penstock.run where sync_id = $1 and status = any ($2) limit 1',
    [id, activeStatuses],
  );
  if (rows[0])
    throw new PenstockError(
      'RUN_STATE',
      `run ${rows[0].id} of sync ${spec.name} is at work: cancel it first`,
      {
        meta: { runId: rows[0].id },
      },
    );
  await forgetFingerprints(tx, id);
  await insertAudit(tx, scope, { tenantId, action: `sync.${how}`, objectId: id });
  await insertEvent(tx, { tenantId, kind: `sync.${how}`, syncId: id });
  return id;
}

/** Notes that somebody reads rows that the sync's target has refused. */
export async function recordRejectsRead(tx: Tx, scope: Scope, ref: string): Promise<SyncId> {
  const { id, tenantId } = await fetchSync(tx, scope, ref);
  await insertAudit(tx, scope, { tenantId, action: 'sync.rejects_read', objectId: id });
  return id;
}
