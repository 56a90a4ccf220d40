/**
 * The control database as a run's activities see it (src/ports/run-store.ts). Each method is one transaction of the
 * engine's role and may be repeated. Places of a run that rests are freed after the commit: if the index is away, the
 * dispatcher's sweep frees them.
 */
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import type { RunId } from '../domain/ids.ts';
import { isFinal, runChanges, type RunChange, type RunStatus } from '../domain/run-states.ts';
import type { RunStore } from '../ports/run-store.ts';
import type { ScheduleAnnouncer } from '../ports/schedule-index.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import type { Logger } from '../telemetry/logger.ts';
import { coolSource } from './connection-limits.ts';
import { cutMessage } from './cut-message.ts';
import { createTellIndex } from './index-news.ts';
import { finishAttempt, insertAttempt, updateAttempt } from './run-attempts.ts';
import { renewShare } from './read-share.ts';
import { askForLook } from './paused-steps.ts';
import { noteRetry } from './run-retry.ts';
import { changeRun, fetchRunStatus, insertRunEvent, type RunPatch } from './run-status.ts';
import { fetchRunWork } from './run-work.ts';
import { noteFingerprint } from './source-fingerprint.ts';
import { asEngine, type Tx } from './transaction.ts';
import { fetchDueAfter } from './upstream-ends.ts';

interface RunStoreDeps {
  /** Of a login that may take the role penstock_engine. */
  pool: Pool;
  secretBox: SecretBox;
  announcer: ScheduleAnnouncer;
  logger: Logger;
}

/** How long a source that asked for less gets no new run. */
const coolMs = 60_000;

/** The run store over a pool. */
export function createRunStore({ pool, secretBox, announcer, logger }: RunStoreDeps): RunStore {
  const tellIndex = createTellIndex(announcer, logger);

  /** A run that rests holds no place. */
  const releasedOf = (runId: RunId, status: RunStatus): RunId[] =>
    status === 'paused' || isFinal(status) ? [runId] : [];

  /** Makes a change if the run allows it. */
  async function change(runId: RunId, name: RunChange, patch?: RunPatch): Promise<RunStatus> {
    const { status, due } = await asEngine(pool, async (tx) => {
      const status = (await become(tx, runId, name, patch)) ?? (await currentStatus(tx, runId));
      return { status, due: isFinal(status) ? await fetchDueAfter(tx, runId) : [] };
    });
    await tellIndex({ released: releasedOf(runId, status), due });
    return status;
  }

  /** Notes a failure, and cools the source down that has asked for less by it. */
  async function noting(
    runId: RunId,
    code: string | undefined,
    note: (tx: Tx) => Promise<void>,
  ): Promise<void> {
    const cooled = await asEngine(pool, async (tx) => {
      await note(tx);
      return code === 'SOURCE_THROTTLED' ? coolSource(tx, runId, coolMs) : [];
    });
    if (cooled.length > 0) await tellIndex({ limits: { connections: cooled } });
  }

  return {
    prepare: async (runId) => {
      const work = await asEngine(pool, async (tx) => {
        const found = await fetchRunWork(tx, secretBox, runId, { lock: true });
        const status =
          (await become(tx, runId, 'prepare', found.versions)) ?? (await become(tx, runId, 'settlePause'));
        return { ...found.work, ...(status && { status }) };
      });
      await tellIndex({ released: releasedOf(runId, work.status) });
      return work;
    },
    fetchWork: async (runId) => (await asEngine(pool, (tx) => fetchRunWork(tx, secretBox, runId))).work,
    settlePause: (runId) => change(runId, 'settlePause'),
    succeed: (runId, receipt, loadIds) => change(runId, 'succeed', { receipt, loadIds }),
    fail: (runId, { code, message }) =>
      change(runId, 'fail', {
        errorCode: code,
        errorMessage: cutMessage(message),
        data: { code },
      }),
    settleCancel: (runId, reason) =>
      change(runId, 'settleCancel', reason === undefined ? {} : { endReason: reason }),
    noteFingerprint: (runId, fingerprint) => asEngine(pool, (tx) => noteFingerprint(tx, runId, fingerprint)),
    isSyncDeleted: (syncId) =>
      asEngine(pool, async (tx) => {
        const sql = `select from penstock.sync where id = $1 and status = 'deleted'`;
        return (await tx.query(sql, [syncId])).rowCount === 1;
      }),
    note: (runId, kind, data) => asEngine(pool, (tx) => insertRunEvent(tx, { runId, kind, data })),
    noteRetry: (runId, step, failure) =>
      noting(runId, failure.code, (tx) => noteRetry(tx, runId, { step, failure, progressed: false })),
    askForLook: (runId) => asEngine(pool, (tx) => askForLook(tx, runId)),
    beginAttempt: (attempt) =>
      asEngine(pool, async (tx) => {
        const { work, isPaced } = await fetchRunWork(tx, secretBox, attempt.runId);
        if (isFinal(work.status)) return { work, share: null };
        await insertAttempt(tx, attempt);
        return { work, share: isPaced ? await renewShare(tx, attempt, null) : null };
      }),
    reportAttempt: (attempt, counts, inUse) =>
      asEngine(pool, async (tx) => {
        await updateAttempt(tx, attempt, counts);
        return renewShare(tx, attempt, inUse);
      }),
    endAttempt: (attempt, end) =>
      noting(attempt.runId, end.error?.code, async (tx) => {
        await finishAttempt(tx, attempt, end);
        if (end.error?.class === 'transient')
          await noteRetry(tx, attempt.runId, {
            step: `partition ${attempt.partition}`,
            failure: end.error,
            progressed: end.batches > 0,
          });
      }),
  };
}

/** The status that the run has by the change; undefined when it does not allow it. */
const become = async (
  tx: Tx,
  runId: RunId,
  change: RunChange,
  patch?: RunPatch,
): Promise<RunStatus | undefined> =>
  (await changeRun(tx, runId, change, patch)) ? runChanges[change].to : undefined;

async function currentStatus(tx: Tx, runId: RunId): Promise<RunStatus> {
  const status = await fetchRunStatus(tx, runId);
  if (status === undefined) throw new PenstockError('NOT_FOUND', `there is no run ${runId}`);
  return status;
}
