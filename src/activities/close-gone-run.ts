/** A run whose workflow is gone (terminated, or lost with its server), or has no worker: somebody else makes it final. */
import type { RunId } from '../domain/ids.ts';
import { isFinal, type RunStatus } from '../domain/run-states.ts';
import { closeRun, type CloseDeps } from './close-run.ts';

/** Makes the run final in both databases, as cancelled when that was asked. Throws while the destination is away. */
export async function closeGoneRun(deps: CloseDeps, runId: RunId): Promise<RunStatus> {
  const work = await deps.runs.fetchWork(runId);
  if (isFinal(work.status)) return work.status;
  if (work.status === 'cancelling') return await closeRun(deps, work, { status: 'cancelled' });
  const failure = {
    code: 'WORKFLOW_GONE',
    message: 'the workflow of the run was terminated, or is unknown to Temporal',
  } as const;
  return await closeRun(deps, work, { status: 'failed', failure });
}
