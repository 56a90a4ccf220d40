/**
 * What is decided about a sync's next slot alone: that it is skipped, or starts later. Each in one transaction that
 * settles the sync before and after, so that a due time which has passed is never the one that is meant.
 */
import { PenstockError } from '../domain/errors.ts';
import { nextDue } from '../domain/schedule.ts';
import type { Scope } from '../ports/scope.ts';
import type { Sync } from '../ports/sync-store.ts';
import { insertAudit, insertEvent } from './in-scope.ts';
import { settle } from './settle.ts';
import { newsOf, type SyncChange } from './sync-change.ts';
import { fetchSync, lockSync } from './sync-rows.ts';
import type { Tx } from './transaction.ts';

/** A sync, and the slot of it that the caller takes for the next; null: whichever it is. */
interface NextSlot {
  readonly ref: string;
  readonly nominalAt: string | null;
}

/** CONFLICT when there is no next slot, or another one than the caller means. */
export const skipNext = (
  tx: Tx,
  scope: Scope,
  { skip, ...next }: NextSlot & { skip: boolean },
): Promise<SyncChange> =>
  changeNext(tx, scope, next, async ({ id, tenantId, nextNominalAt }) => {
    const skippedAt = skip ? nextNominalAt : null;
    await tx.query('update penstock.sync set skipped_nominal_at = $2 where id = $1', [id, skippedAt]);
    await insertEvent(tx, {
      tenantId,
      kind: 'sync.next_skipped',
      syncId: id,
      data: { nominalAt: nextNominalAt, skip },
    });
    return 'sync.skip_next';
  });

/** CONFLICT as `skipNext`; BAD_REQUEST for a time that is not between now and the slot after it. */
export const moveNext = (
  tx: Tx,
  scope: Scope,
  { to, ...next }: NextSlot & { to: string | null },
): Promise<SyncChange> =>
  changeNext(tx, scope, next, async (sync) => {
    const { id, tenantId, nextNominalAt } = sync;
    if (to !== null) await checkTime(tx, sync, to);
    await tx.query('update penstock.sync set moved_nominal_at = $2, moved_due_at = $3 where id = $1', [
      id,
      to === null ? null : nextNominalAt,
      to === null ? null : new Date(to).toISOString(),
    ]);
    await insertEvent(tx, {
      tenantId,
      kind: 'sync.next_moved',
      syncId: id,
      data: { nominalAt: nextNominalAt, to },
    });
    return 'sync.move_next';
  });

async function changeNext(
  tx: Tx,
  scope: Scope,
  { ref, nominalAt }: NextSlot,
  change: (sync: Sync) => Promise<string>,
): Promise<SyncChange> {
  const { id } = await lockSync(tx, scope, ref);
  const settledBefore = await settle(tx, [id]);
  const sync = await fetchSync(tx, scope, id);
  if (sync.nextNominalAt === null)
    throw new PenstockError('CONFLICT', `sync ${sync.spec.name} has no due time ahead`);
  if (nominalAt !== null && Date.parse(nominalAt) !== Date.parse(sync.nextNominalAt))
    throw new PenstockError(
      'CONFLICT',
      `the next due time of sync ${sync.spec.name} is ${sync.nextNominalAt}, not ${nominalAt}`,
      { pointer: '/nominalAt' },
    );
  const action = await change(sync);
  await insertAudit(tx, scope, { tenantId: sync.tenantId, action, objectId: id });
  // Published is the nominal time, at which nothing may be due yet: of two changes of one version the later one may be
  // published first, and a look must never come later than the rows say.
  const nextDueAtMs = Date.parse(sync.nextNominalAt);
  const settledAfter = (await settle(tx, [id])).map((settled) => ({ ...settled, nextDueAtMs }));
  return { sync: await fetchSync(tx, scope, id), news: newsOf(settledBefore, settledAfter) };
}

/** Never before its own time, and never at the next one's: slots keep their order. */
async function checkTime(tx: Tx, { nextNominalAt, spec }: Sync, to: string): Promise<void> {
  const nominalMs = Date.parse(nextNominalAt!);
  const followingMs = nextDue(spec.schedule, nominalMs);
  const { rows } = await tx.query<{ ahead: boolean }>('select $1::timestamptz > clock_timestamp() as ahead', [
    to,
  ]);
  const toMs = Date.parse(to);
  if (rows[0]!.ahead && toMs >= nominalMs && (followingMs === null || toMs < followingMs)) return;
  const before =
    followingMs === null ? '' : ` and before ${new Date(followingMs).toISOString()}, the due time after it`;
  throw new PenstockError(
    'BAD_REQUEST',
    `the due time of ${nextNominalAt} can be moved to a time that lies ahead, is not before it${before}; to run earlier, trigger the sync and skip its next due time`,
    { pointer: '/to' },
  );
}
