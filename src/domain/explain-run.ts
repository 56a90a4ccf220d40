/**
 * Why a run is not at work, from what its rows, the schedule index and the engine say. What no place would help is named
 * first, in the order in which admission asks.
 */
import { isFinal, type RunStatus, type WaitingReason } from './run-states.ts';

/** Places of something, and how many are taken. */
export interface Places {
  readonly held: number;
  readonly cap: number;
}

/** What the rows say. Times in ms from now; null: nothing says when. */
export interface RowFacts {
  readonly status: RunStatus;
  /** It is queued, or wants to go on after a pause. */
  readonly wantsPlace: boolean;
  /** Somebody has paused what it is at in the engine. */
  readonly isStepPaused: boolean;
  readonly dueInMs: number;
  readonly pause: { readonly reason: WaitingReason; readonly endsInMs: number | null } | null;
  readonly isBlocked: boolean;
  /** Whose workers take its steps; null: the common ones. */
  readonly workerClass: string | null;
  readonly coolForMs: number;
  readonly tenant: Places;
  readonly connection: Places;
}

/** What the index says of one run. */
export interface IndexFacts {
  /** `active`: it holds a place. `absent`: nobody has offered it yet. */
  readonly state: 'active' | 'ready' | 'parked' | 'later' | 'absent';
  /** How many runs start before it, and itself, if nothing else comes; null when it is not ready. */
  readonly position: number | null;
  /** Until it, or its source, goes on. */
  readonly inMs: number | null;
  readonly isCooling: boolean;
  /** Null before any dispatcher has admitted. */
  readonly all: Places | null;
  readonly tenant: Places;
  readonly connection: Places;
  /** Since a dispatcher last admitted; null: never. */
  readonly admittedMsAgo: number | null;
}

/** `no_worker`: nobody takes up workflows. `no_class_worker`: nobody takes the steps of the run's class. */
export type EngineState = 'there' | 'no_worker' | 'no_class_worker' | 'unreachable';

export interface Explanation {
  /** Null: it waits for nothing that is known of. */
  readonly reason: WaitingReason | null;
  readonly inMs: number | null;
  readonly position: number | null;
  /** The places that it waits for. */
  readonly places: Places | null;
  /** With `no_worker`: the class that lacks one; null: the common workers. */
  readonly workerClass: string | null;
}

/** A dispatcher looks at least every second; one that has not for so long is shutting down, or gone. */
const silentMs = 10_000;

const because = (reason: WaitingReason | null, more: Partial<Explanation> = {}): Explanation => ({
  reason,
  inMs: null,
  position: null,
  places: null,
  workerClass: null,
  ...more,
});

/** @param index null while it does not answer: the rows are admitted from without it */
export function explainRun(row: RowFacts, index: IndexFacts | null, engine: EngineState): Explanation {
  if (row.isStepPaused) return because('step_paused');
  if (!row.wantsPlace) return ofStarted(row, engine);
  if (row.dueInMs > 0) return because('not_due', { inMs: row.dueInMs });
  if (row.pause) return because(row.pause.reason, { inMs: row.pause.endsInMs });
  if (row.isBlocked) return because('previous_run');
  if (engine === 'unreachable') return because('engine_unreachable');
  if (engine === 'no_class_worker') return because('no_worker', { workerClass: row.workerClass });
  return index ? fromIndex(row, index) : fromRows(row);
}

/** Whoever is there to do it does it; copies that have begun go on without the engine. */
function ofStarted({ status, workerClass }: RowFacts, engine: EngineState): Explanation {
  if (engine === 'there' || isFinal(status) || status === 'paused') return because(null);
  if (engine === 'unreachable') return because(status === 'starting' ? 'engine_unreachable' : null);
  return because('no_worker', { workerClass: engine === 'no_class_worker' ? workerClass : null });
}

const isFull = ({ held, cap }: Places): boolean => held >= cap;

function fromIndex(row: RowFacts, index: IndexFacts): Explanation {
  const { state, position, inMs } = index;
  if (state === 'active') return because(null);
  if (index.admittedMsAgo === null || index.admittedMsAgo > silentMs)
    return because('draining', { position });
  if (state === 'later') return because(row.coolForMs > 0 ? 'cooling_down' : 'back_off', { inMs });
  if (state === 'parked') {
    if (inMs === null) return because('connection_cap', { places: index.connection });
    return because(index.isCooling ? 'cooling_down' : 'rate_limited', { inMs });
  }
  if (isFull(index.tenant)) return because('tenant_cap', { position, places: index.tenant });
  if (index.all && isFull(index.all)) return because('global_cap', { position, places: index.all });
  return because('behind', { position });
}

function fromRows({ coolForMs, tenant, connection }: RowFacts): Explanation {
  if (coolForMs > 0) return because('cooling_down', { inMs: coolForMs });
  if (isFull(connection)) return because('connection_cap', { places: connection });
  return isFull(tenant) ? because('tenant_cap', { places: tenant }) : because('behind');
}
