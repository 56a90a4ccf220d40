/** What a run does around its copying: find or open a load, finish it, become final. */
import type { Step } from '../explore.ts';
import { blockersOf, slotOf, waitSteps } from './copy-steps.ts';
import { endRun, prepareAgain, startCopy } from './workflow.ts';
import { nobody, spend, withBroken, withDb, withLoad, withWorkflow } from './state.ts';
import type { Config, Database, Lease, Load, State, Straggler } from './state.ts';

const loadsOf = (db: Database, run: number): (Load | null)[] => [
  db.loads[run * 2] ?? null,
  db.loads[run * 2 + 1] ?? null,
];

const openLoadIn = (db: Database): number => db.loads.findIndex((load) => load?.phase === 'open');

const hasBatches = (load: Load): boolean => load.checkpoints.some((list) => list.length > 0);

const noLease: Lease = { run: nobody, epoch: 0, latest: 0 };

const unleased = (load: Load): Load['leases'] => load.leases.map(() => noLease);

/** The load with the phase `abandoned`. */
export function abandon(config: Config, state: State, index: number): State {
  const load = state.db.loads[index];
  if (!load) return state;
  return withLoad(state, index, {
    phase: 'abandoned',
    ...(config.rules.abandonFences && { leases: unleased(load) }),
  });
}

/** Prepare, first half: what is there decides whether a load is continued, or which one is to be opened. */
function lookSteps(config: Config, state: State, run: number): Step<State>[] {
  const { rules, scenario } = config;
  const who = `run ${run + 1}`;
  const own = loadsOf(state.db, run);
  if (own.some((load) => load?.phase === 'done')) {
    return [{ label: `${who} finds its load done`, next: endRun(state, run, 'succeeded') }];
  }
  const index = openLoadIn(state.db);
  const load = state.db.loads[index];
  if (!load && state.db.cursor >= (scenario.highs[run] ?? 0) && !scenario.backfills.includes(run)) {
    return [{ label: `${who} finds nothing new`, next: endRun(state, run, 'succeeded') }];
  }
  if (load && (load.openedBy === run || (load.plan === scenario.plans[run] && rules.unfinishedFirst))) {
    return [
      {
        label: `${who} continues the load of run ${load.openedBy + 1}`,
        next: startCopy(config, state, run, index),
      },
    ];
  }
  const keep = load && hasBatches(load) && scenario.mode === 'append' && rules.appendNeverAbandons;
  if (keep && rules.unfinishedFirst) {
    return [{ label: `${who} finds an unfinished load of another plan`, next: endRun(state, run, 'failed') }];
  }
  const abandoned = load && rules.unfinishedFirst ? abandon(config, state, index) : state;
  const n = own.filter((each) => each !== null).length;
  const next = withWorkflow(abandoned, run, { stage: 'open', low: state.db.cursor, n });
  return [
    {
      label: `${who} ${abandoned === state ? '' : 'abandons the load and '}decides to read from ${state.db.cursor}`,
      next,
    },
  ];
}

/** Prepare, second half: one transaction, after however long the source took. Null when the activity just ends. */
function opened(config: Config, state: State, wish: Extract<Straggler, { does: 'open' }>): State | null {
  const { rules, scenario } = config;
  const { run, low, high } = wish;
  const moves = !scenario.backfills.includes(run);
  if (rules.openRefusesFinalRun && state.db.runs[run] === 'final') return null;
  if (rules.openComparesCursor && moves && state.db.cursor !== low) return null;
  const isOther = (load: Load | null): boolean => load?.phase === 'open' && load.openedBy !== run;
  if (rules.oneOpenLoad && state.db.loads.some(isOther)) return null;
  const n = rules.loadIdFromRun ? wish.n : loadsOf(state.db, run).filter((each) => each !== null).length;
  const index = run * 2 + n;
  if (n > 1 || state.db.loads[index]) return state;
  const perPart = Array.from({ length: scenario.parts });
  const load: Load = {
    openedBy: run,
    low: moves ? low : -1,
    high: moves ? high : 0,
    plan: scenario.plans[run] ?? '',
    table: state.db.table,
    phase: 'open',
    leases: perPart.map(() => noLease),
    checkpoints: perPart.map(() => []),
    shadow: scenario.resumable ? [] : scenario.rows.map(() => 0),
    receipt: 0,
  };
  const runs = state.db.runs.map((each, i) => (i === run && each === 'absent' ? 'open' : each));
  return withDb(state, { loads: state.db.loads.with(index, load), runs });
}

function openSteps(config: Config, state: State, run: number): Step<State>[] {
  const workflow = state.workflows[run];
  if (!workflow) return [];
  const { low, n } = workflow;
  const next = opened(config, state, { does: 'open', run, low, n, high: config.scenario.highs[run] ?? 0 });
  if (!next)
    return [
      { label: `run ${run + 1} finds that another load or cursor is there`, next: prepareAgain(state, run) },
    ];
  const index = config.rules.loadIdFromRun
    ? run * 2 + n
    : next.db.loads.findLastIndex((load) => load?.openedBy === run);
  return [{ label: `run ${run + 1} opens a load from ${low}`, next: startCopy(config, next, run, index) }];
}

/** Whether every partition's batches are 1..n, chained, with a final one at the end. */
const isProven = (load: Load): boolean =>
  load.checkpoints.every(
    (list) =>
      list.at(-1)?.final === true &&
      list.every((each, i) => each.no === i + 1 && each.lo === (list[i - 1]?.hi ?? 0)),
  );

const sumOf = (load: Load): number => load.checkpoints.flat().reduce((sum, each) => sum + each.rows, 0);

/** The finish transaction's effect, and what was wrong about it. */
function published(config: Config, state: State, run: number, index: number, load: Load): State {
  const { rules, scenario } = config;
  const moves = !scenario.backfills.includes(load.openedBy) || !rules.backfillLeavesCursor;
  const receipt = rules.receiptFromCheckpoints ? sumOf(load) : (state.workflows[run]?.counted ?? 0);
  const leases = rules.finishTakesLeases ? unleased(load) : load.leases;
  const copies = state.db.copies.map((count, i) => count + (load.shadow[i] ?? 0));
  const cursor = moves && rules.finishAtOnce ? load.high : state.db.cursor;
  let next = withDb(withLoad(state, index, { phase: 'done', leases, receipt }), { copies, cursor });
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

/** The finish transaction of a run for a load. */
function finish(config: Config, state: State, run: number, named: number): FinishOutcome {
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
  return { is: 'published', state: published(config, state, run, index, load), load };
}

function finishSteps(config: Config, state: State, run: number): Step<State>[] {
  const workflow = state.workflows[run];
  if (!workflow) return [];
  const who = `run ${run + 1}`;
  const outcome = finish(config, state, run, workflow.load);
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
    if (workflow.stage === 'open') return openSteps(config, state, run);
    if (workflow.stage === 'finish') return finishSteps(config, state, run);
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
