/**
 * What the workflow and its activities say to each other: ids and counters in plain objects, never rows, SQL, keys or
 * secrets, each well below 4 KB. Histories keep these shapes for ever: members are added, never renamed.
 */
import type { Failure } from '../domain/describe-error.ts';
import type { RunStatus } from '../domain/run-states.ts';

export interface RunRef {
  runId: string;
}

/** Committed rows, batches and bytes. */
export interface Counts {
  rows: number;
  batches: number;
  bytes: number;
}

/** What is to be copied; `ready: false` is a run that must not be worked on now. */
export type PreparedRun =
  | { ready: false; status: RunStatus }
  | {
      ready: true;
      loadId: string;
      /** Numbers of its partitions. */
      partitions: number[];
      /** How many of them may be copied at once. */
      parallel: number;
      /** An earlier run opened it and did not finish. */
      continued: boolean;
      /** The greatest number of a call that has ever written the load: a workflow that was reset knows of fewer. */
      lastCall?: number;
      /** Absent: as long as it takes. */
      maxDurationMs?: number;
    };

export interface CopyInput extends RunRef {
  loadId: string;
  partition: number;
  /** Rises with every call of a run, so that a later call's lease epoch is greater than any earlier one's. */
  call: number;
  /** The how manieth call of this partition it is, since the run last prepared: later ones may last longer. Default 1. */
  turn?: number;
}

export interface CopyOutcome extends Counts {
  /**
   * - `finished`: the partition is complete.
   * - `yielded`: to be called again; `failure` is there when something went wrong.
   * - `fenced`: this attempt has been replaced, or its run is final: prepare again.
   * - `lost`: the destination does not know the load any more: prepare again.
   */
  outcome: 'finished' | 'yielded' | 'fenced' | 'lost';
  failure?: Failure;
  /** Where the partition stands, all attempts together; absent when this one committed nothing. */
  total?: Counts;
  /** ISO 8601; absent when this attempt committed nothing. */
  lastBatchAt?: string;
}

export interface FinishInput extends RunRef {
  loadId: string;
}

export interface FinishedLoad extends Counts {
  /**
   * - `succeeded`: the run's last load is done and the run is final.
   * - `another`: that load was an earlier run's; prepare again for this run's own.
   * - `stale`: the load is not complete any more, or somebody else made the run final: prepare again, which says what is.
   */
  outcome: 'succeeded' | 'another' | 'stale';
}

export interface FailInput extends RunRef {
  failure: Failure;
  /** An attempt may still be writing, so the destination has to know first that the run is final. */
  mayHaveWriters: boolean;
}

export interface CancelInput extends RunRef {
  /** A word for programs; absent: somebody asked. */
  reason?: 'max_duration';
}

export interface RunNow {
  status: RunStatus;
}

/** Heartbeat details of a copy, for people who look at the activity: never what a later attempt relies on. */
export interface CopyHeartbeat extends Counts {
  rowsPerSecond: number;
  /** ISO 8601; absent before this attempt's first. */
  lastBatchAt?: string;
}

/** Short activities that open, publish and record; they run beside the workflows. */
export interface RunActivities {
  /** Makes the run running and opens or finds its load. Repeatable. */
  prepareRun(input: RunRef): Promise<PreparedRun>;
  /** Proves, publishes and records a copied load. Repeatable. */
  finishRun(input: FinishInput): Promise<FinishedLoad>;
  /** Records that the run is paused and gives its places back. */
  pauseRun(input: RunRef): Promise<RunNow>;
  /** Makes the run failed: in the destination first, so that nothing commits for it afterwards. */
  failRun(input: FailInput): Promise<RunNow>;
  /** Makes the run cancelled, or succeeded when its load is found done. */
  cancelRun(input: CancelInput): Promise<RunNow>;
}

/** The long activity, on task queues of its own. */
export interface CopyActivities {
  /** Copies one partition until it is complete, told to stop, or out of time. */
  copyPartition(input: CopyInput): Promise<CopyOutcome>;
}
