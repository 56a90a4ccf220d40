/** The control database as the dispatcher sees it (src/ports/schedule-store.ts): one transaction of the engine's role a method. */
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import type { SyncId } from '../domain/ids.ts';
import type { RefillStore, ScheduleStore, Settlement, SweepStore } from '../ports/schedule-store.ts';
import { fetchStuckStarts, startRuns } from './admit.ts';
import { changeRun } from './run-status.ts';
import { settleUnlocked } from './settle.ts';
import * as sweep from './sweep-queries.ts';
import { asEngine, type Tx } from './transaction.ts';

/** Longer messages are cut: they are for people. */
const maxMessageLength = 2_000;

/** The store over a pool whose login may take the role penstock_engine. */
export function createScheduleStore(pool: Pool): ScheduleStore & SweepStore & RefillStore {
  /** A method of the store from a query, which gets the transaction first. */
  const inEngine =
    <A extends unknown[], R>(query: (tx: Tx, ...args: A) => Promise<R>) =>
    (...args: A): Promise<R> =>
      asEngine(pool, (tx) => query(tx, ...args)).catch((error: unknown) => {
        throw isOutage(error)
          ? new PenstockError('UNAVAILABLE', 'The control database does not answer.', { cause: error })
          : error;
      });
  return {
    settle: inEngine(settleBatch),
    startRuns: inEngine(startRuns),
    failStart: inEngine(async (tx, runId, { code, message }: { code: string; message: string }) => {
      const errorMessage = message.slice(0, maxMessageLength);
      await changeRun(tx, runId, 'fail', { errorCode: code, errorMessage, data: { code } });
    }),
    fetchOverdueSyncs: inEngine(sweep.fetchOverdueSyncs),
    fetchWaitingRuns: inEngine(sweep.fetchWaitingRuns),
    fetchResumedRuns: inEngine(sweep.fetchResumedRuns),
    fetchUnblockedRuns: inEngine(sweep.fetchUnblockedRuns),
    fetchAdmissible: inEngine(sweep.fetchAdmissible),
    dropMissedRuns: inEngine(sweep.dropMissedRuns),
    fetchPlaceHolders: inEngine(sweep.fetchPlaceHolders),
    fetchPlaceless: inEngine(sweep.fetchPlaceless),
    fetchStuckStarts: inEngine(fetchStuckStarts),
    fetchCancelling: inEngine(sweep.fetchCancelling),
    fetchSilentRuns: inEngine(sweep.fetchSilentRuns),
    noteSeen: inEngine(sweep.noteSeen),
    fetchDueEntries: inEngine(sweep.fetchDueEntries),
    fetchWeights: inEngine(sweep.fetchWeights),
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

/**
 * Whether the server or the way to it failed, and not a statement: no SQLSTATE, or class 08 (connection), 53 (resources),
 * 57 (shutdown, but not 57014, a cancelled statement), 25006 (a standby), 58 (system).
 */
function isOutage(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string' || !/^[0-9FHPX][0-9A-Z]{4}$/.test(code))
    return !(error instanceof PenstockError);
  return (/^(08|53|57|58)/.test(code) && code !== '57014') || code === '25006';
}
