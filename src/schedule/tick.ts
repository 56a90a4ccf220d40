/**
 * Tick: turns due times into slots and queued runs, and ignores capacity. The index says where to look; the rows and
 * the control database's clock decide. A crash between any two steps loses time, never a slot: a claimed sync comes
 * back when its lease runs out, a queued run is offered again by the sweep.
 */
import { codeOf, hasCode } from '../domain/errors.ts';
import type { SyncId } from '../domain/ids.ts';
import type { RunStarter } from '../ports/run-starter.ts';
import type { DueClaim, DueIndex, ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { ScheduleStore, SettledSync, Settlement } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import { lockedMs } from './timings.ts';

export interface TickDeps {
  readonly index: DueIndex & Pick<ScheduleAnnouncer, 'publishDue' | 'offerRuns'>;
  readonly store: Pick<ScheduleStore, 'settle'>;
  readonly starter: Pick<RunStarter, 'cancel'>;
  readonly log: Logger;
}

/** Ids a claim. */
const claimSize = 250;

/** Claims what is due, settles it and tells the index. Returns how many ms may pass until the next look. */
export async function tick({ index, store, starter, log }: TickDeps, lookEveryMs: number): Promise<number> {
  const claim = await index.claimDue(claimSize);
  if (claim.syncIds.length > 0) {
    const settlement = await settleEach(store, claim.syncIds, log);
    await Promise.all([announceSettled(index, settlement), postpone(index, claim, settlement)]);
    await cancelOverlapped(starter, settlement, log);
  }
  if (claim.syncIds.length === claimSize) return 0;
  return Math.min(lookEveryMs, claim.nextInMs ?? lookEveryMs);
}

/** Tells the index when to look at settled syncs next, and offers their new runs. */
export async function announceSettled(index: TickDeps['index'], { settled }: Settlement): Promise<void> {
  const wereDue = settled.filter((sync) => sync.wasDue);
  const published = wereDue.filter((sync) => !restsUntilTold(sync));
  await Promise.all([
    index.publishDue(published.map(({ syncId, version, nextDueAtMs }) => ({ syncId, version, nextDueAtMs }))),
    index.offerRuns(wereDue.flatMap((sync) => sync.offered)),
  ]);
}

/** Whoever ends a run that it comes after publishes it, perhaps at this moment. */
const restsUntilTold = ({ follows, nextDueAtMs }: SettledSync): boolean => follows && nextDueAtMs === null;

/** Tells runs that a due time has overlapped; those that do not hear it are told again by reconcile. */
async function cancelOverlapped(
  starter: TickDeps['starter'],
  { settled }: Settlement,
  log: Logger,
): Promise<void> {
  const workflowIds = settled.flatMap((sync) => sync.cancelled);
  await Promise.all(
    workflowIds.map((workflowId) =>
      starter
        .cancel(workflowId)
        .catch((error: unknown) =>
          log.warn({ workflowId, error }, 'tick: cancel is sent again by the sweep'),
        ),
    ),
  );
}

/** Settles a batch; when a row makes it throw, one by one, so that one sync never holds the others. */
export async function settleEach(
  store: TickDeps['store'],
  syncIds: readonly SyncId[],
  log: Logger,
): Promise<Settlement> {
  try {
    return await store.settle(syncIds);
  } catch (error) {
    if (hasCode(error, 'UNAVAILABLE')) throw error;
    if (syncIds.length === 1) {
      log.error({ sync: syncIds[0], error, code: codeOf(error) }, 'tick: a sync cannot be settled');
      return { settled: [], lockedIds: [], unknownIds: [] };
    }
    const parts: Settlement[] = [];
    for (const syncId of syncIds) parts.push(await settleEach(store, [syncId], log));
    return {
      settled: parts.flatMap((part) => part.settled),
      lockedIds: parts.flatMap((part) => part.lockedIds),
      unknownIds: parts.flatMap((part) => part.unknownIds),
    };
  }
}

/** Those that were looked at too early wait for what is missing by the database's clock, whatever Redis' clock says. */
async function postpone(index: DueIndex, { token }: DueClaim, settlement: Settlement): Promise<void> {
  const early = settlement.settled.filter((sync) => !sync.wasDue && sync.nextDueAtMs !== null);
  await index.postponeDue(token, [
    ...early.map((sync) => ({ syncId: sync.syncId, inMs: sync.nextDueAtMs! - sync.settledAtMs })),
    ...settlement.settled.filter(restsUntilTold).map(({ syncId }) => ({ syncId, inMs: null })),
    ...settlement.lockedIds.map((syncId) => ({ syncId, inMs: lockedMs })),
    ...settlement.unknownIds.map((syncId) => ({ syncId, inMs: null })),
  ]);
}
