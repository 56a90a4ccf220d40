/** What a run at work fails with and tries again: its row has it, until it is overcome or its status changes. */
import type { Failure } from '../domain/describe-error.ts';
import { type Failing, noteFailure, retryDelayMs } from '../domain/failure-budget.ts';
import type { RunId } from '../domain/ids.ts';
import type { RunRetry } from '../ports/run-control.ts';
import type { RunStep } from '../ports/run-store.ts';
import { cutMessage } from './cut-message.ts';
import type { Tx } from './transaction.ts';

/** As the row has it. */
export interface RetryColumn extends Failing {
  step: RunStep;
}

/** One more failure of the step; `progressed`: it had got further than ever before it failed. */
export async function noteRetry(
  tx: Tx,
  runId: RunId,
  failed: { step: RunStep; failure: Failure; progressed: boolean },
): Promise<void> {
  const { rows } = await tx.query<{ retry: RetryColumn | null; nowMs: number }>(
    `select retry, (extract(epoch from clock_timestamp()) * 1000)::float8 as "nowMs" from penstock.run
      where id = $1 and ended_at is null for no key update`,
    [runId],
  );
  if (!rows[0]) return;
  const { retry, nowMs } = rows[0];
  const { step, progressed } = failed;
  const { code, message } = failed.failure;
  const before = retry?.step === step ? retry : undefined;
  const failing = noteFailure(before, { code, message: cutMessage(message) }, { nowMs, progressed });
  await tx.query('update penstock.run set retry = $2 where id = $1', [runId, { ...failing, step }]);
}

/** For the API; the wait is the one that activities and workflow keep to (src/domain/failure-budget.ts). */
export const describeRetry = ({ step, sinceMs, times, last, ...failing }: RetryColumn): RunRetry => ({
  step,
  ...last,
  times,
  since: new Date(sinceMs).toISOString(),
  nextAt: new Date(failing.atMs + retryDelayMs({ ...failing, sinceMs, times, last })).toISOString(),
});
