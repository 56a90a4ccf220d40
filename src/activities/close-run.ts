/**
 * How a run becomes final: first in the destination, after which nothing commits for it, then in the control database.
 * No clock is involved, and each half may be repeated. A run whose last load is found done has succeeded, whatever was
 * asked meanwhile.
 */
import type { Failure } from '../domain/describe-error.ts';
import type { RunId } from '../domain/ids.ts';
import type { RunStatus } from '../domain/run-states.ts';
import type { Destination, OpenDestination, RunOutcome } from '../ports/destination.ts';
import type { RunStore, RunWork } from '../ports/run-store.ts';

/** What the run becomes unless its load is done. */
export type WantedEnd = { status: 'failed'; failure: Failure } | { status: 'cancelled'; reason?: string };

export interface CloseDeps {
  runs: RunStore;
  openDestination: OpenDestination;
}

/**
 * Makes the run final in both databases. Throws while the destination is unreachable: the run is not final then.
 * @returns the status that it has now
 */
export async function closeRun(deps: CloseDeps, work: RunWork, wanted: WantedEnd): Promise<RunStatus> {
  const outcome = await withDestination(deps, work, (destination) => destination.closeRun(work.runId));
  return await recordEnd(deps.runs, work.runId, outcome, wanted);
}

/** The second half: the control database. Alone it is enough only for a run that never had a writer. */
export async function recordEnd(
  runs: RunStore,
  runId: RunId,
  outcome: RunOutcome | undefined,
  wanted: WantedEnd,
): Promise<RunStatus> {
  if (outcome?.succeeded) return await runs.succeed(runId, outcome.receipt, outcome.loads);
  if (wanted.status === 'cancelled') return await runs.settleCancel(runId, wanted.reason);
  const status = await runs.fail(runId, wanted.failure);
  // Cancelled while it was failing: the earlier request holds.
  return status === 'cancelling' ? await runs.settleCancel(runId) : status;
}

async function withDestination<T>(
  { openDestination }: CloseDeps,
  work: RunWork,
  use: (destination: Destination) => Promise<T>,
): Promise<T> {
  const destination = openDestination(work.destination);
  try {
    return await use(destination);
  } finally {
    await destination.close();
  }
}
