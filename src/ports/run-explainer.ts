/** Why a run is not at work, for people and programs. */
import type { Explanation } from '../domain/explain-run.ts';
import type { ReadRate } from '../domain/read-rate.ts';
import type { RunId } from '../domain/ids.ts';
import type { RunStatus } from '../domain/run-states.ts';
import type { Scope } from './scope.ts';

/** A run that has what another waits for. */
export interface PlaceHolder {
  runId: RunId;
  syncName: string;
  status: RunStatus;
  startedAt: string | null;
}

/** How fast a run at work may read, where its source's read rate is limited. */
export interface RunPace {
  /** The source's name, and its limit. */
  connection: string;
  limit: ReadRate;
  /** Attempts that share it, of any run that the scope may see; a run has one for each partition that it copies. */
  attempts: number;
  /** What those of this run have of it. */
  share: ReadRate;
}

export interface RunExplanation extends Omit<Explanation, 'inMs'> {
  runId: RunId;
  status: RunStatus;
  /** When that ends, where a time says so. */
  until: string | null;
  /** At most 20, oldest first, of those that the scope may see. */
  holders: PlaceHolder[];
  /** null: it reads nothing now, or at any rate. */
  pace: RunPace | null;
}

export interface RunExplainer {
  /** As it is now. NOT_FOUND also for another tenant's. */
  explain(scope: Scope, runId: string): Promise<RunExplanation>;
}
