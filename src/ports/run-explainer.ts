/** Why a run is not at work, for people and programs. */
import type { Explanation } from '../domain/explain-run.ts';
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

export interface RunExplanation extends Omit<Explanation, 'inMs'> {
  runId: RunId;
  status: RunStatus;
  /** When that ends, where a time says so. */
  until: string | null;
  /** At most 20, oldest first, of those that the scope may see. */
  holders: PlaceHolder[];
}

export interface RunExplainer {
  /** As it is now. NOT_FOUND also for another tenant's. */
  explain(scope: Scope, runId: string): Promise<RunExplanation>;
}
