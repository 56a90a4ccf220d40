/** How a run gets the load that it works on: continues one, abandons one, opens one. */
import type { Step } from '../explore.ts';
import { blockersOf, waitSteps } from './copy-steps.ts';
import { noLease, openLoadIn, loadsOf, unleased, withDb, withLoad, withWorkflow } from './state.ts';
import type { Config, Load, State, Straggler } from './state.ts';
import { endRun, prepareAgain, startCopy } from './workflow.ts';

const hasBatches = (load: Load): boolean => load.checkpoints.some((list) => list.length > 0);

/** The load with the phase `abandoned`. */
export function abandon(config: Config, state: State, index: number): State {
  const load = state.db.loads[index];
  if (!load) return state;
  const leases = config.rules.abandonFences && { leases: unleased(load) };
  return withLoad(state, index, { phase: 'abandoned', ...leases });
}

/** The first half: what is there decides whether a load is continued, or which one is to be opened. */
export function lookSteps(config: Config, state: State, run: number): Step<State>[] {
  const { rules, scenario } = config;
  const who = `run ${run + 1}`;
  if (loadsOf(state.db, run).some((load) => load?.phase === 'done')) {
    return [{ label: `${who} finds its load done`, next: endRun(state, run, 'succeeded') }];
  }
  const index = openLoadIn(state.db);
  const load = state.db.loads[index];
  const isBehind = state.db.cursor < (scenario.highs[run] ?? 0) || scenario.backfills.includes(run);
  if (!load && !isBehind) {
    return [{ label: `${who} finds nothing new`, next: endRun(state, run, 'succeeded') }];
  }
  const mayContinue = rules.unfinishedFirst || load?.openedBy === run;
  if (load && mayContinue && load.plan === state.workflows[run]?.plan) {
    const next = startCopy(config, state, run, index);
    return [{ label: `${who} continues the load of run ${load.openedBy + 1}`, next }];
  }
  if (!load || !rules.unfinishedFirst) return [decide(state, run, who)];
  if (rules.abandonLooksLast) return abandonSteps(config, state, run);
  if (mustKeep(config, load)) return [refuse(state, run, who)];
  return [{ label: `${who} is to abandon the load`, next: withWorkflow(state, run, { stage: 'abandon' }) }];
}

const mustKeep = (config: Config, load: Load): boolean =>
  config.scenario.mode === 'append' && config.rules.appendNeverAbandons && hasBatches(load);

const refuse = (state: State, run: number, who: string): Step<State> => ({
  label: `${who} finds an unfinished load of another plan`,
  next: endRun(state, run, 'failed'),
});

/** The window is chosen; the transaction that opens the load comes later. */
function decide(state: State, run: number, who: string): Step<State> {
  const n = loadsOf(state.db, run).filter((each) => each !== null).length;
  const next = withWorkflow(state, run, { stage: 'open', low: state.db.cursor, n });
  return { label: `${who} decides to read from ${state.db.cursor}`, next };
}

/** Abandons the open load, of another plan, once nobody holds its leases. */
export function abandonSteps(config: Config, state: State, run: number): Step<State>[] {
  const who = `run ${run + 1}`;
  const index = openLoadIn(state.db);
  const load = state.db.loads[index];
  if (!load) return [{ label: `${who} looks again`, next: prepareAgain(state, run) }];
  const slots = load.leases.map((_, slot) => slot);
  const blockers = blockersOf(config, state, index, slots);
  if (config.rules.abandonFences && blockers.copiers.length + blockers.orphans.length > 0) {
    return waitSteps(state, config, blockers, who);
  }
  if (config.rules.abandonLooksLast && mustKeep(config, load)) return [refuse(state, run, who)];
  return [decide(abandon(config, state, index), run, `${who} abandons the load and`)];
}

/** The second half: one transaction, after however long the source took. Null when the activity just ends. */
export function opened(
  config: Config,
  state: State,
  wish: Extract<Straggler, { does: 'open' }>,
): State | null {
  const { rules, scenario } = config;
  const { run, low, high, plan } = wish;
  const moves = !scenario.backfills.includes(run);
  if (rules.openRefusesFinalRun && state.db.runs[run] === 'final') return null;
  if (rules.openComparesCursor && moves && state.db.cursor !== low) return null;
  if (rules.oneOpenLoad && openLoadIn(state.db) >= 0) return null;
  const n = rules.loadIdFromRun ? wish.n : loadsOf(state.db, run).filter((each) => each !== null).length;
  const index = run * 2 + n;
  if (n > 1 || state.db.loads[index]) return state;
  const perPart = Array.from({ length: scenario.parts });
  const load: Load = {
    openedBy: run,
    low: moves ? low : -1,
    high: moves ? high : 0,
    plan,
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

export function openSteps(config: Config, state: State, run: number): Step<State>[] {
  const workflow = state.workflows[run];
  if (!workflow) return [];
  const { low, n, plan } = workflow;
  const high = config.scenario.highs[run] ?? 0;
  const next = opened(config, state, { does: 'open', run, low, n, high, plan });
  if (!next) {
    const label = `run ${run + 1} finds that another load or cursor is there`;
    return [{ label, next: prepareAgain(state, run) }];
  }
  const index = config.rules.loadIdFromRun
    ? run * 2 + n
    : next.db.loads.findLastIndex((load) => load?.openedBy === run);
  return [{ label: `run ${run + 1} opens a load from ${low}`, next: startCopy(config, next, run, index) }];
}
