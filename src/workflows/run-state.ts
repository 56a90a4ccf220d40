/** What the workflow of one run remembers. Everything hangs on this one object: module level would be shared by runs. */
import {
  type CancellationScope,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Counts } from '../activities/contract.ts';
import type { RunStatus } from '../domain/run-states.ts';
import { type Failing, retryDelayMs } from '../domain/failure-budget.ts';
import { describeProgress, type PartitionProgress, type RunPhase, type RunProgress } from './run-progress.ts';
import { searchKeys } from './search-attributes.ts';

/** What one execution hands to the next when the history has become long. */
export interface CarriedState {
  call: number;
  /** Committed in loads that this run has finished. */
  finished: Counts;
  /** Time spent at work, pauses not counted. */
  workedMs: number;
  pauseAsked: boolean;
  mayHaveWriters: boolean;
  stale?: Failing;
}

export interface RunState extends CarriedState {
  readonly runId: string;
  /** Where the API answers about it. */
  readonly link?: string;
  /** The first and the last step are tried as local activities. */
  readonly localSteps?: boolean;
  /** Whose workers take the steps that touch its databases; absent: the common ones. */
  readonly workerClass?: string;
  phase: RunPhase;
  partitions: PartitionProgress[];
  /** What `partitions` fail with, while they do. */
  failing: Map<number, Failing>;
  /** The work in hand that a pause ends early. */
  inHand?: CancellationScope;
  overdue: boolean;
  /** Since when the load in hand is copied; what was before is in `workedMs`. */
  copyingSinceMs?: number;
  shownStatus?: RunStatus;
}

export const noCounts: Counts = { rows: 0, batches: 0, bytes: 0 };

/** A run at its start, or as the execution before this one left it. */
export function openRunState(
  named: Pick<RunState, 'runId' | 'link' | 'localSteps' | 'workerClass'>,
  carried?: CarriedState,
): RunState {
  return {
    call: 0,
    finished: noCounts,
    workedMs: 0,
    pauseAsked: false,
    mayHaveWriters: false,
    ...carried,
    ...named,
    phase: 'preparing',
    partitions: [],
    failing: new Map(),
    overdue: false,
  };
}

/** What the next execution has to know. */
export const carry = (run: RunState): CarriedState => ({
  call: run.call,
  finished: run.finished,
  workedMs: run.workedMs,
  pauseAsked: run.pauseAsked,
  mayHaveWriters: run.mayHaveWriters,
  ...(run.stale && { stale: run.stale }),
});

/** Enters a phase and shows it. */
export function enter(run: RunState, phase: RunPhase): void {
  run.phase = phase;
  show(run);
}

/** Brings current details up to date; they are read by query and cost no event. */
export const show = (run: RunState): void =>
  setCurrentDetails(describeProgress(titleOf(run), progressOf(run)));

function titleOf({ link }: RunState): string {
  const { typedSearchAttributes: known } = workflowInfo();
  const name = `${known.get(searchKeys.tenant)}/${known.get(searchKeys.sync)}`;
  return link === undefined ? name : `[${name}](${link})`;
}

/** Makes the run's status searchable; one event in the history, so only when it changed. */
export function publishStatus(run: RunState, status: RunStatus, errorCode?: string): void {
  if (run.shownStatus === status) return;
  run.shownStatus = status;
  upsertSearchAttributes([
    { key: searchKeys.runState, value: status },
    { key: searchKeys.rows, value: progressOf(run).rows },
    ...(errorCode === undefined ? [] : [{ key: searchKeys.errorClass, value: errorCode }]),
  ]);
}

export const addCounts = (a: Counts, b: Counts): Counts => ({
  rows: a.rows + b.rows,
  batches: a.batches + b.batches,
  bytes: a.bytes + b.bytes,
});

/** The answer of the query `progress`. */
export function progressOf(run: RunState): RunProgress {
  const failing = [...run.failing.values(), ...(run.stale ? [run.stale] : [])].at(-1);
  return {
    phase: run.phase,
    workedMs: run.workedMs + (run.copyingSinceMs === undefined ? 0 : Date.now() - run.copyingSinceMs),
    ...run.partitions.reduce<Counts>(addCounts, run.finished),
    partitions: run.partitions,
    ...(failing && {
      failure: {
        ...failing.last,
        times: failing.times,
        retryAt: new Date(failing.atMs + retryDelayMs(failing)).toISOString(),
      },
    }),
  };
}
