/**
 * One run of a sync: prepare → copy → finish. The workflow knows ids and counters; what is committed, and whether the
 * run is final, is known by the two databases alone, so every step may be repeated and any of them may be the first
 * that a restarted workflow takes.
 */
import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  isCancellation,
  proxyActivities,
  setHandler,
  sleep,
  TemporalFailure,
  workflowInfo,
} from '@temporalio/workflow';
import type { Counts, PreparedRun, RunActivities } from '../activities/contract.ts';
import type { Failure } from '../domain/describe-error.ts';
import { withCure } from '../domain/errors.ts';
import { isFinal, type RunStatus } from '../domain/run-states.ts';
import { failureBudgetMs, recordOptions } from './activity-options.ts';
import { closeAsCancelled, closeAsFailed, describeFailure } from './close-run.ts';
import { copyLoad, spent } from './copy-load.ts';
import { isSpent, noteFailure, retryDelayMs } from '../domain/failure-budget.ts';
import { interruptible } from './interruptible.ts';
import { pauseUpdate, progressQuery, resumeUpdate } from './names.ts';
import type { RunPhase, RunProgress } from './run-progress.ts';
import {
  addCounts,
  carry,
  type CarriedState,
  enter,
  openRunState,
  progressOf,
  publishStatus,
  type RunState,
} from './run-state.ts';
import { finishRun, prepareRun } from './short-steps.ts';

export interface SyncRunInput {
  runId: string;
  /** Where users find the run, for its details in the Web UI; none where no such address is known. */
  link?: string;
  /** The first and the last step are tried as local activities; absent in runs that began before that was so. */
  localSteps?: boolean;
  /** Whose workers take the steps that touch its databases; absent: the common ones. Never with `localSteps`. */
  workerClass?: string;
  /** After continue-as-new only. */
  carried?: CarriedState;
}

/** How the run ended, and what it committed. */
export interface SyncRunResult extends Counts {
  status: RunStatus;
}

const pause = defineUpdate<RunPhase>(pauseUpdate);
const resume = defineUpdate<RunPhase>(resumeUpdate);
const progress = defineQuery<RunProgress>(progressQuery);

const { pauseRun } = proxyActivities<RunActivities>({
  ...recordOptions,
  summary: 'paused: give places back',
});

/** The workflow of one run. Fails with the error's code as failure type; cancelled only once both databases know it. */
export async function syncRun({ carried, ...named }: SyncRunInput): Promise<SyncRunResult> {
  const run = openRunState(named, carried);
  answerMessages(run);
  try {
    return resultOf(run, await work(run));
  } catch (error) {
    if (!(error instanceof TemporalFailure)) throw error;
    return resultOf(run, await close(run, error));
  }
}

function answerMessages(run: RunState): void {
  const goesOn = () => {
    if (isEnding(run)) throw ApplicationFailure.nonRetryable(`the run is ${run.phase}`, 'RUN_STATE');
  };
  /** What is refused leaves nothing in the history: whoever doubts that it was heard may ask as often as they like. */
  const waits = () => {
    goesOn();
    if (!run.pauseAsked) throw ApplicationFailure.nonRetryable('the run is not paused', 'RUN_STATE');
  };
  setHandler(
    pause,
    () => {
      run.pauseAsked = true;
      if (run.inHand) enter(run, 'pausing');
      run.inHand?.cancel();
      return run.phase;
    },
    { validator: goesOn, description: 'Commit the batches in hand, give the places back, wait.' },
  );
  setHandler(
    resume,
    () => {
      run.pauseAsked = false;
      return run.phase;
    },
    { validator: waits, description: 'Go on after a pause.' },
  );
  setHandler(progress, () => progressOf(run), { description: 'Phase, counts and what fails.' });
}

const isEnding = ({ phase }: RunState): boolean =>
  phase === 'closing' || phase === 'succeeded' || phase === 'failed' || phase === 'cancelled';

const nameOf = ({ runId, link, localSteps, workerClass }: RunState) => ({
  runId,
  ...(link !== undefined && { link }),
  ...(localSteps && { localSteps }),
  ...(workerClass !== undefined && { workerClass }),
});

/** Goes round until the run is final: each round begins with what both databases say. */
async function work(run: RunState): Promise<RunStatus> {
  for (;;) {
    if (run.pauseAsked) await holdPause(run);
    const prepared = await prepare(run);
    if (prepared === 'interrupted') continue;
    if (!prepared.ready) {
      if (prepared.status !== 'paused') return await endElsewhere(run, prepared.status);
      run.pauseAsked = true;
      continue;
    }
    publishStatus(run, 'running');
    enter(run, 'copying');
    const end = await copyLoad(run, prepared);
    leaveIfCancelled();
    if (run.overdue) return await closeAsCancelled(run);
    if (end === 'interrupted' && !run.pauseAsked && workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof syncRun>({ ...nameOf(run), carried: carry(run) });
    if (end === 'stale') await waitForOther(run);
    if (end === 'copied' && (await finish(run, prepared.loadId))) return 'succeeded';
  }
}

/** The run is paused from here until somebody resumes it; without the row being `pausing` there is nothing to hold. */
async function holdPause(run: RunState): Promise<void> {
  enter(run, 'pausing');
  const { status } = await pauseRun({ runId: run.runId });
  if (status !== 'paused') {
    run.pauseAsked = false;
    return;
  }
  enter(run, 'paused');
  publishStatus(run, 'paused');
  await condition(() => !run.pauseAsked);
}

async function prepare(run: RunState): Promise<PreparedRun | 'interrupted'> {
  enter(run, 'preparing');
  const prepared = await interruptible(run, () => prepareRun(run, { runId: run.runId }));
  leaveIfCancelled();
  return prepared;
}

/** Publishes the load; whether that was the run's last. */
async function finish(run: RunState, loadId: string): Promise<boolean> {
  enter(run, 'finishing');
  const { outcome, ...counts } = await finishRun(run, { runId: run.runId, loadId });
  if (outcome === 'stale') await waitForOther(run);
  else {
    run.finished = addCounts(run.finished, counts);
    run.partitions = [];
  }
  if (outcome !== 'succeeded') return false;
  enter(run, 'succeeded');
  publishStatus(run, 'succeeded');
  return true;
}

/** Somebody else writes the load or ends the run. That shows soon, so the wait is bounded by the failure budget. */
async function waitForOther(run: RunState): Promise<void> {
  const failure: Failure = { code: 'FENCED', message: 'another attempt works on the load' };
  const nowMs = Date.now();
  run.stale = noteFailure(run.stale, failure, { nowMs, progressed: false });
  if (isSpent(run.stale, nowMs, failureBudgetMs)) throw spent(failure);
  await sleep(retryDelayMs(run.stale), { summary: 'another attempt works on the load' });
}

/** The row says that there is nothing to work on: somebody else made the run final, or is about to. */
async function endElsewhere(run: RunState, status: RunStatus): Promise<RunStatus> {
  if (status === 'cancelling') return await closeAsCancelled(run);
  if (isFinal(status)) enter(run, status);
  publishStatus(run, status);
  return status;
}

/** Activities that end in good order hide a cancellation of the workflow. */
function leaveIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('cancelled');
}

/** Records the end; throws what Temporal should show of it, unless the run has succeeded after all. */
async function close(run: RunState, error: TemporalFailure): Promise<RunStatus> {
  const cancelled = isCancellation(error) && CancellationScope.current().consideredCancelled;
  const failure = describeFailure(error);
  const status = cancelled ? await closeAsCancelled(run) : await closeAsFailed(run, failure);
  if (status === 'succeeded') return status;
  throw cancelled
    ? error
    : ApplicationFailure.nonRetryable(withCure(failure.message, failure.code), failure.code);
}

function resultOf(run: RunState, status: RunStatus): SyncRunResult {
  const { rows, batches, bytes } = progressOf(run);
  return { status, rows, batches, bytes };
}
