/** The engine that executes runs, as the dispatcher and the API see it. Errors: ENGINE_UNREACHABLE when it does not answer. */
import type { RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { RunOrigin } from '../domain/run-states.ts';
import type { PausedStep } from './run-control.ts';

/** What starting a run needs: ids, names and small values for the Web UI. Never SQL, rows or secrets. */
export interface RunToStart {
  runId: RunId;
  workflowId: string;
  tenantId: TenantId;
  tenantName: string;
  syncId: SyncId;
  syncName: string;
  /** Name of the source connection, for search. */
  sourceName: string;
  mode: string;
  origin: RunOrigin;
  priority: number;
  /** Whose workers take its steps; null: the common ones. */
  workerClass: string | null;
  /** Milliseconds since the Unix epoch. */
  dueAtMs: number;
}

/** A workflow as the engine has it; `unknown`: it has none. */
export interface FoundWorkflow {
  readonly state: 'open' | 'closed' | 'unknown';
  /** None unless it is open. */
  readonly pausedSteps: readonly PausedStep[];
}

export interface RunStarter {
  /** Starts the run's workflow; a workflow that is there already, running or closed, is a success. */
  start(run: RunToStart): Promise<'started' | 'already_started'>;
  /** Whether the engine has a workflow of that id, and what somebody has paused of it. */
  describe(workflowId: string): Promise<FoundWorkflow>;
  /** Whether a worker takes up the workflows of runs; given a class, whether one takes the steps of its runs. */
  hasWorker(workerClass?: string): Promise<boolean>;
  /** Asks the workflow to cancel; `unknown` when there is none that is open. */
  cancel(workflowId: string): Promise<'asked' | 'unknown'>;
  /** Ends the workflow of a run that is final, at once; one that is closed stays as it is. */
  terminate(workflowId: string): Promise<void>;
  /** Tells the workflow to finish the batches in hand and wait. */
  pause(workflowId: string): Promise<'asked' | 'unknown'>;
  /** Tells a paused workflow to go on. */
  resume(workflowId: string): Promise<'asked' | 'unknown'>;
}
