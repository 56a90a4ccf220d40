/**
 * What the engine alone knows of a run at work: steps that somebody has paused there. Its row has them as a dispatcher last
 * saw them, until its status changes.
 */
import type { RunId } from '../domain/ids.ts';
import type { PausedStep } from '../ports/run-control.ts';
import type { SilentRun } from '../ports/schedule-store.ts';
import { cutMessage } from './cut-message.ts';
import type { Tx } from './transaction.ts';

/** Nothing tells when a step is unpaused, so it is looked at again after so long. */
const againMs = 15_000;

/** Not a change of status. Its row is left alone for a while, or until it is time to look again: earlier if somebody asks. */
export async function noteSeen(
  tx: Tx,
  { runId, lookAt }: Pick<SilentRun, 'runId' | 'lookAt'>,
  paused: readonly PausedStep[],
): Promise<void> {
  const steps = paused.map((step) => ({
    ...step,
    by: cutMessage(step.by),
    reason: cutMessage(step.reason),
  }));
  await tx.query(
    `update penstock.run set moved_at = clock_timestamp(), paused_steps = $2,
       look_at = least(case when look_at is distinct from $4::timestamptz then look_at end,
         case when $2::jsonb is not null then clock_timestamp() + $3 * interval '1 millisecond' end)
     where id = $1 and ended_at is null`,
    [runId, steps.length === 0 ? null : JSON.stringify(steps), againMs, lookAt],
  );
}

/** From now on a dispatcher looks at it, whether it moves or not. */
export async function askForLook(tx: Tx, runId: RunId): Promise<void> {
  await tx.query('update penstock.run set look_at = clock_timestamp() where id = $1 and ended_at is null', [
    runId,
  ]);
}
