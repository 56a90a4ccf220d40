/** What a run does around its copying: finish its load, become final. */
import type { Step } from '../explore.ts';
import { blockersOf, slotOf, waitSteps } from './copy-steps.ts';
import { lookSteps, abandonSteps, opened, openSteps } from './prepare-steps.ts';
import { endRun, prepareAgain, startCopy } from './workflow.ts';
import {
  loadsOf,
  nobody,
  noLease,
  openLoadIn,
  spend,
  unleased,
  withBroken,
  withDb,
  withLoad,
  withWorkflow,
} from './state.ts';
import type { Config, Load, State } from './state.ts';

/** Whether every partition's batches are 1..n, chained, with a final one at the end. */
const isProven = (load: Load): boolean =>
  load.checkpoints.every(
    (list) =>
      list.at(-1)?.final === true &&
      list.every((each, i) => each.no === i + 1 && each.lo === (list[i - 1]?.hi ?? 0)),
  );

const sumOf = (load: Load): number => load.checkpoints.flat().reduce((sum, each) => sum + each.rows, 0);

/** The target with the shadow's rows. */
const withShadow = (state: State, load: Load): State =>
  withDb(state, { copies: state.db.copies.map((count, i) => count + (load.shadow[i] ?? 0)) });

/** The finish transaction's effect, and what was wrong about it. */
function published(config: Config, state: State, run: number, index: number, load: Load): State {
  const { rules, scenario } = config;
  const moves = !scenario.backfills.includes(load.openedBy) || !rules.backfillLeavesCursor;
  const receipt = rules.receiptFromCheckpoints ? sumOf(load) : (state.workflows[run]?.counted ?? 0);
  const leases = rules.finishTakesLeases ? unleased(load) : load.leases;
  const cursor = moves && rules.finishAtOnce ? load.high : state.db.cursor;
  let next = withDb(withLoad(state, index, { phase: 'done', leases, receipt }), { cursor });
  if (state.db.runs[run] === 'final') next = withBroken(next, 'a load is finished for a final run');
  if (load.phase === 'done') next = withBroken(next, 'a load is finished twice');
  if (moves && state.db.cursor !== load.low)
    next = withBroken(next, 'the cursor moves from where the window does not begin');
  if (moves && scenario.backfills.includes(load.openedBy))
    next = withBroken(next, 'a backfill moves the cursor');
  if (receipt !== sumOf(load)) next = withBroken(next, 'a receipt is not the sum of its checkpoints');
  return missesRow(config, next, load)
    ? withBroken(next, 'a load is done and a row of it is missing or old')
    : next;
}

/** Whether a row of the load's window is not in the target, or in a version from before the load. */
const missesRow = (config: Config, state: State, load: Load): boolean =>
  config.scenario.rows.some((row, i) => {
    if (row.cursor <= load.low || row.cursor > load.high) return false;
    const isOld = config.scenario.mode === 'upsert' && (state.db.versions[i] ?? 0) < load.openedBy + 1;
    return state.db.copies[i] === 0 || isOld;
  });

type FinishOutcome =
  | { readonly is: 'done' | 'published'; readonly state: State; readonly load: Load }
  | { readonly is: 'lost' | 'incomplete' | 'failed' | 'final' }
  | { readonly is: 'waits'; readonly steps: readonly Step<State>[] };

/** The finish transaction of a run for a load; `rowsAreThere`: an earlier one has published the shadow. */
function finish(
  config: Config,
  state: State,
  run: number,
  named: number,
  rowsAreThere = false,
): FinishOutcome {
  const { rules } = config;
  const index = rules.finishNamesLoad ? named : openLoadIn(state.db);
  const load = state.db.loads[index];
  if (rules.finishRefusesFinalRun && state.db.runs[run] === 'final') return { is: 'final' };
  if (!load || load.phase === 'abandoned') return { is: 'lost' };
  if (load.phase === 'done' && rules.finishOnce) return { is: 'done', state, load };
  if (rules.finishTakesLeases) {
    const slots = load.leases.map((_, part) => slotOf(config, part));
    const blockers = blockersOf(config, state, index, slots);
    if (blockers.copiers.length + blockers.orphans.length > 0) {
      return { is: 'waits', steps: waitSteps(state, config, blockers, `finish of run ${run + 1}`) };
    }
  }
  if (rules.finishProves && !isProven(load)) return { is: 'incomplete' };
  if (rules.finishChecksTarget && load.table !== state.db.table) return { is: 'failed' };
  const isBackfill = config.scenario.backfills.includes(load.openedBy);
  if (rules.cursorFromLow && !isBackfill && state.db.cursor !== load.low) return { is: 'failed' };
  const shown = rowsAreThere ? state : withShadow(state, load);
  return { is: 'published', state: published(config, shown, run, index, load), load };
}

function finishSteps(config: Config, state: State, run: number): Step<State>[] {
  const workflow = state.workflows[run];
  if (!workflow) return [];
  const who = `run ${run + 1}`;
  const isSecond = workflow.stage === 'published';
  const outcome = finish(config, state, run, workflow.load, isSecond);
  if (outcome.is === 'published' && !config.rules.publishAtOnce && !isSecond) {
    const shown = withWorkflow(withShadow(state, outcome.load), run, { stage: 'published' });
    return [{ label: `${who} inserts the shadow’s rows`, next: shown }];
  }
  switch (outcome.is) {
    case 'waits':
      return [...outcome.steps];
    case 'final':
    case 'failed':
      return [{ label: `${who} cannot finish`, next: endRun(state, run, 'failed') }];
    case 'lost':
      return [{ label: `${who} does not find its load`, next: prepareAgain(state, run) }];
    case 'incomplete':
      return [
        { label: `${who} finds a partition incomplete`, next: startCopy(config, state, run, workflow.load) },
      ];
    default: {
      const steps = [
        { label: `${who} finishes its load`, next: afterFinish(config, outcome.state, run, outcome.load) },
      ];
      const unknown = outcome.is === 'published' ? spend(outcome.state, 'unknownCommit') : null;
      if (unknown) steps.push({ label: `${who} finishes its load and gets no answer`, next: unknown });
      return steps;
    }
  }
}

function afterFinish(config: Config, state: State, run: number, load: Load): State {
  if (!config.rules.finishAtOnce && state.db.cursor === load.low)
    return withWorkflow(state, run, { stage: 'publish' });
  return load.openedBy === run ? endRun(state, run, 'succeeded') : prepareAgain(state, run);
}

/** The second half of a finish that was not one transaction. */
function publishSteps(state: State, run: number): Step<State>[] {
  const load = state.db.loads[state.workflows[run]?.load ?? nobody];
  if (!load) return [];
  const moved = withDb(state, { cursor: load.high });
  const next = load.openedBy === run ? endRun(moved, run, 'succeeded') : prepareAgain(moved, run);
  return [{ label: `run ${run + 1} moves the cursor`, next }];
}

/** The transaction that makes a run final in the destination. */
function marked(state: State, run: number, what: { mark: boolean; clear: boolean }): State {
  const runs = what.mark ? state.db.runs.with(run, 'final' as const) : state.db.runs;
  const loads = state.db.loads.map((load) => {
    if (!load || !what.clear) return load;
    const leases = load.leases.map((lease) => (lease.run === run ? noLease : lease));
    return { ...load, leases };
  });
  return withDb(state, { runs, loads });
}

/** Control's side: the run's status, and the next run may start. */
function closed(config: Config, state: State, run: number): State {
  const hasDone = loadsOf(state.db, run).some((load) => load?.phase === 'done');
  const wanted = state.workflows[run]?.wanted ?? 'failed';
  const status = hasDone && config.rules.doneSucceeds ? 'succeeded' : wanted;
  let next = withWorkflow(state, run, { stage: 'closed', wanted: status, calls: [] });
  if (next.workflows[run + 1]?.stage === 'waiting') next = withWorkflow(next, run + 1, { stage: 'prepare' });
  return hasDone && status === 'failed' ? withBroken(next, 'a run has failed and its load is done') : next;
}

function closeSteps(config: Config, state: State, run: number): Step<State>[] {
  const { rules } = config;
  const who = `the end of run ${run + 1}`;
  const stage = state.workflows[run]?.stage;
  if (stage === 'closing' && !rules.closeInDestinationFirst) {
    return [{ label: `control makes run ${run + 1} final`, next: closed(config, state, run) }];
  }
  if (stage === 'closing' && !rules.closeAtOnce) {
    const half = withWorkflow(marked(state, run, { mark: true, clear: false }), run, { stage: 'marked' });
    return [{ label: `${who} is marked`, next: half }];
  }
  for (const [index, load] of state.db.loads.entries()) {
    const slots = (load?.leases ?? []).flatMap((lease, slot) => (lease.run === run ? [slot] : []));
    const blockers = blockersOf(config, state, index, slots);
    const waits = rules.closeClearsLeases && blockers.copiers.length + blockers.orphans.length > 0;
    if (waits) return waitSteps(state, config, blockers, who);
  }
  const done = marked(state, run, { mark: rules.closeMarksRun, clear: rules.closeClearsLeases });
  return [
    { label: `run ${run + 1} is made final`, next: stage === 'closed' ? done : closed(config, done, run) },
  ];
}

/** Everything that the workflows and the reconciler can do next. */
export function workflowSteps(config: Config, state: State): Step<State>[] {
  return state.workflows.flatMap((workflow, run) => {
    if (workflow.stage === 'prepare') return lookSteps(config, state, run);
    if (workflow.stage === 'abandon') return abandonSteps(config, state, run);
    if (workflow.stage === 'open') return openSteps(config, state, run);
    if (workflow.stage === 'finish' || workflow.stage === 'published') return finishSteps(config, state, run);
    if (workflow.stage === 'publish') return publishSteps(state, run);
    const late =
      workflow.stage === 'closed' && !config.rules.closeInDestinationFirst && state.db.runs[run] !== 'final';
    if (workflow.stage === 'closing' || workflow.stage === 'marked' || late)
      return closeSteps(config, state, run);
    return [];
  });
}

/** Replaced activities get as far as their transaction. */
export function stragglerSteps(config: Config, state: State): Step<State>[] {
  return state.stragglers.flatMap((straggler, i) => {
    const without = { ...state, stragglers: state.stragglers.filter((_, at) => at !== i) };
    const who = `a replaced ${straggler.does} of run ${straggler.run + 1}`;
    if (straggler.does === 'open') {
      return [{ label: `${who} goes on`, next: opened(config, without, straggler) ?? without }];
    }
    const outcome = finish(config, without, straggler.run, straggler.load);
    if (outcome.is === 'waits') return waitSteps(state, config, { copiers: [], orphans: [] }, who);
    return [{ label: `${who} goes on`, next: outcome.is === 'published' ? outcome.state : without }];
  });
}
