/** The control database as the dispatcher sees it (src/ports/schedule-store.ts): one transaction of the engine's role each. */
import type { Pool } from 'pg';
import type { SyncId } from '../domain/ids.ts';
import type { RefillStore, ScheduleStore, Settlement, SweepStore } from '../ports/schedule-store.ts';
import { claimStuckStarts, startRuns } from './admit.ts';
import { listWorkerClasses } from './connection-rows.ts';
import { cutMessage } from './cut-message.ts';
import { noteSeen } from './paused-steps.ts';
import { changeRun } from './run-status.ts';
import { settleUnlocked } from './settle.ts';
import * as sweep from './sweep-queries.ts';
import { asEngine, type Tx } from './transaction.ts';

/** The store over a pool whose login may take the role penstock_engine. */
export function createScheduleStore(pool: Pool): ScheduleStore & SweepStore & RefillStore {
  /** A method of the store from a query, which gets the transaction first. */
  const inEngine =
    <A extends unknown[], R>(query: (tx: Tx, ...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      asEngine(pool, (tx) => query(tx, ...args));
  return {
    settle: inEngine(settleBatch),
    startRuns: inEngine(startRuns),
    failStart: inEngine(async (tx, runId, { code, message }: { code: string; message: string }) => {
      await changeRun(tx, runId, 'fail', {
        errorCode: code,
        errorMessage: cutMessage(message),
        data: { code },
      });
    }),
    fetchOverdueSyncs: inEngine(sweep.fetchOverdueSyncs),
    fetchDueRuns: inEngine(sweep.fetchDueRuns),
    fetchWaitingRuns: inEngine(sweep.fetchWaitingRuns),
    takeComeDue: inEngine(sweep.takeComeDue),
    fetchResumedRuns: inEngine(sweep.fetchResumedRuns),
    fetchUnblockedRuns: inEngine(sweep.fetchUnblockedRuns),
    fetchAdmissible: inEngine(sweep.fetchAdmissible),
    fetchWorkerClasses: inEngine(listWorkerClasses),
    dropMissedRuns: inEngine(sweep.dropMissedRuns),
    fetchPlaceHolders: inEngine(sweep.fetchPlaceHolders),
    fetchPlaceless: inEngine(sweep.fetchPlaceless),
    claimStuckStarts: inEngine(claimStuckStarts),
    fetchCancelling: inEngine(sweep.fetchCancelling),
    fetchSilentRuns: inEngine(sweep.fetchSilentRuns),
    noteSeen: inEngine(noteSeen),
    fetchReleases: inEngine(sweep.fetchReleases),
    noteReleased: inEngine(sweep.noteReleased),
    postponeRelease: inEngine(sweep.postponeRelease),
    noteDrift: inEngine(sweep.noteDrift),
    fetchDueEntries: inEngine(sweep.fetchDueEntries),
    fetchLimits: inEngine(sweep.fetchLimits),
  };
}

async function settleBatch(tx: Tx, syncIds: readonly SyncId[]): Promise<Settlement> {
  const settled = await settleUnlocked(tx, syncIds);
  const done = new Set(settled.map((sync) => sync.syncId));
  const missing = syncIds.filter((syncId) => !done.has(syncId));
  if (missing.length === 0) return { settled, lockedIds: [], unknownIds: [] };
  const { rows } = await tx.query<{ id: SyncId }>('select id from penstock.sync where id = any($1)', [
    missing,
  ]);
  const lockedIds = rows.map((row) => row.id);
  return { settled, lockedIds, unknownIds: missing.filter((syncId) => !lockedIds.includes(syncId)) };
}
