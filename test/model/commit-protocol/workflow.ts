/** What the workflow of a run does when an activity of it returns. Nothing here touches the destination. */
import { withCopier, withWorkflow } from './state.ts';
import type { Config, Copier, State } from './state.ts';

/** Attempts at one partition are bounded, so that the model is. */
const maxCalls = 8;

function newCopier(run: number, load: number, part: number, born: number): Copier {
  return {
    run,
    load,
    part,
    born,
    epoch: born,
    replaced: false,
    frozen: false,
    at: 'take',
    no: 0,
    hi: 0,
    batch: null,
    counted: 0,
  };
}

/** Calls a partition again. */
export function callPartition(config: Config, state: State, run: number, part: number): State {
  const workflow = state.workflows[run];
  if (!workflow) return state;
  const born =
    (config.rules.leasePerPartition ? (workflow.calls[part] ?? 0) : Math.max(...workflow.calls)) + 1;
  if (born > maxCalls) return state;
  const calls = workflow.calls.with(part, born);
  const copiers = [...state.copiers, newCopier(run, workflow.load, part, born)];
  return withWorkflow({ ...state, copiers }, run, { calls });
}

/** The load to work on is known: every partition is called. */
export function startCopy(config: Config, state: State, run: number, load: number): State {
  const parts = state.workflows[run]?.finished ?? [];
  let next = withWorkflow(state, run, {
    stage: 'copy',
    load,
    low: 0,
    n: 0,
    finished: parts.map(() => false),
  });
  for (const part of parts.keys()) next = callPartition(config, next, run, part);
  return next;
}

/** An attempt returns without an end: one that was replaced has no listener, another is called again. */
export function callAgain(config: Config, state: State, index: number): State {
  const copier = state.copiers[index];
  const gone = withCopier(state, index, null);
  return copier && !copier.replaced ? callPartition(config, gone, copier.run, copier.part) : gone;
}

/** An attempt found the end of its partition committed. */
export function finishPartition(state: State, index: number): State {
  const copier = state.copiers[index];
  const workflow = copier && state.workflows[copier.run];
  const gone = withCopier(state, index, null);
  if (!copier || !workflow || copier.replaced) return gone;
  const finished = workflow.finished.with(copier.part, true);
  const stage = finished.every(Boolean) ? 'finish' : workflow.stage;
  return withWorkflow(gone, copier.run, { finished, stage, counted: workflow.counted + copier.counted });
}

/** The attempts of a run lose their listener. */
function abandonAttempts(state: State, run: number): State {
  return {
    ...state,
    copiers: state.copiers.map((each) => (each.run === run ? { ...each, replaced: true } : each)),
  };
}

/** An attempt found that the destination does not know its load: the run prepares again. */
export function forgetLoad(state: State, index: number): State {
  const copier = state.copiers[index];
  const gone = withCopier(state, index, null);
  if (!copier || copier.replaced) return gone;
  return prepareAgain(gone, copier.run);
}

export function prepareAgain(state: State, run: number): State {
  const parts = state.workflows[run]?.finished ?? [];
  return withWorkflow(abandonAttempts(state, run), run, {
    stage: 'prepare',
    load: -1,
    finished: parts.map(() => false),
    counted: 0,
  });
}

/** The run is to become final; activities that are still under way have lost their listener. */
export function endRun(state: State, run: number, wanted: 'succeeded' | 'failed'): State {
  const parts = state.workflows[run]?.finished ?? [];
  return withWorkflow(abandonAttempts(state, run), run, {
    stage: 'closing',
    wanted,
    load: -1,
    low: 0,
    n: 0,
    finished: parts.map(() => false),
    counted: 0,
  });
}
