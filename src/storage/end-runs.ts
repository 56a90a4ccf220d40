/** Ending what is open of a sync or of a backfill: queued runs at once, others through their workflows. */
import type { RunId } from '../domain/ids.ts';
import { changeRun } from './run-status.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';

interface EndedRuns {
  /** Dropped: they are final. */
  readonly released: readonly RunId[];
  /** Workflows of those that are `cancelling` now; they are to hear it after the commit. */
  readonly cancelled: readonly string[];
}

/** Drops what is queued and asks the rest to cancel. */
export async function endRuns(
  tx: Tx,
  whose: { column: 'sync_id' | 'backfill_id'; id: string },
  endReason: 'requested' | 'sync_deleted',
): Promise<EndedRuns> {
  const { rows } = await tx.query<{ id: RunId; workflowId: string }>(
    `select id, workflow_id as "workflowId" from penstock.run
     where ${whose.column} = $1 and ended_at is null order by id for no key update`,
    [whose.id],
  );
  const released: RunId[] = [];
  const cancelled: string[] = [];
  for (const { id, workflowId } of rows)
    if (await changeRun(tx, id, 'drop', { endReason })) released.push(id);
    else if (await changeRun(tx, id, 'cancel', { endReason })) cancelled.push(workflowId);
  return { released, cancelled };
}

/** Tells workflows that their runs are `cancelling`. Never throws: those that do not hear it are told by the sweep. */
export async function tellCancelled(
  { starter, logger }: Pick<StoreDeps, 'starter' | 'logger'>,
  workflowIds: readonly string[],
): Promise<void> {
  for (const workflowId of workflowIds)
    await starter
      .cancel(workflowId)
      .catch((err: unknown) => logger.warn({ err, workflowId }, 'cancel is sent again by the sweep'));
}
