/** What goes wrong around the protocol: each fault as often as the scenario says. */
import type { Step } from '../explore.ts';
import { abandon } from './prepare-steps.ts';
import { blockersOf } from './copy-steps.ts';
import { callPartition, endRun, prepareAgain } from './workflow.ts';
import { spend, withCopier, withDb, withLoad, withWorkflow } from './state.ts';
import type { Config, State, Straggler } from './state.ts';

/** The activity of a workflow that is not a copier, as it goes on after it was replaced. */
function stragglerOf(config: Config, state: State, run: number): Straggler | null {
  const workflow = state.workflows[run];
  if (workflow?.stage === 'open') {
    const { low, n, plan } = workflow;
    return { does: 'open', run, low, n, plan, high: config.scenario.highs[run] ?? 0 };
  }
  return workflow?.stage === 'finish' ? { does: 'finish', run, load: workflow.load } : null;
}

/** The engine gives an activity up and starts another attempt; the old one does not know and goes on. */
function takeoverSteps(config: Config, state: State): Step<State>[] {
  const spent = spend(state, 'takeover');
  if (!spent) return [];
  const copiers = state.copiers.flatMap((copier, index) => {
    if (copier.replaced) return [];
    const next = callPartition(config, withCopier(spent, index, { replaced: true }), copier.run, copier.part);
    const label = `run ${copier.run + 1} partition ${copier.part + 1} attempt ${copier.born} is replaced`;
    return [{ label, next }];
  });
  const others = state.workflows.flatMap((workflow, run) => {
    const straggler = stragglerOf(config, state, run);
    if (!straggler) return [];
    const stage = workflow.stage === 'open' ? ('prepare' as const) : workflow.stage;
    const left = withWorkflow(spent, run, workflow.stage === 'open' ? { stage, low: 0, n: 0 } : {});
    return [
      {
        label: `${straggler.does} of run ${run + 1} is replaced`,
        next: { ...left, stragglers: [...left.stragglers, straggler] },
      },
    ];
  });
  return [...copiers, ...others];
}

/** The first run's workflow is gone: terminated, cancelled or out of patience. Its activities go on. */
function killSteps(config: Config, state: State): Step<State>[] {
  const spent = spend(state, 'kill');
  const stage = state.workflows[0]?.stage;
  if (!spent || stage === 'closing' || stage === 'marked' || stage === 'closed') return [];
  const straggler = stragglerOf(config, state, 0);
  const ended = endRun(spent, 0, 'failed');
  const next = straggler ? { ...ended, stragglers: [...ended.stragglers, straggler] } : ended;
  return [{ label: 'run 1 is to end', next }];
}

const isWorking = (state: State): boolean => {
  const stage = state.workflows.at(-1)?.stage;
  return stage !== 'closing' && stage !== 'marked' && stage !== 'closed';
};

/** The destination goes back to an older state; connections and their transactions are gone. */
function restoreSteps(state: State): Step<State>[] {
  const spent = spend(state, 'restore');
  if (!spent || !isWorking(state)) return [];
  if (!state.backup) return [{ label: 'the destination is backed up', next: { ...state, backup: state.db } }];
  if (state.backup === state.db) return [];
  const copiers = state.copiers.map((each) =>
    each.at === 'ready' || each.frozen ? each : { ...each, at: 'take' as const, batch: null },
  );
  const next = { ...spent, db: state.backup, backup: null, copiers, orphans: [], tampered: true };
  return [{ label: 'the destination is restored to the backup', next }];
}

/** A replaced process stops for ever where it stands. */
function freezeSteps(state: State): Step<State>[] {
  const spent = spend(state, 'freeze');
  if (!spent) return [];
  return state.copiers.flatMap((copier, index) => {
    if (!copier.replaced || copier.frozen || copier.at !== 'open') return [];
    const label = `run ${copier.run + 1} partition ${copier.part + 1} attempt ${copier.born} freezes in its transaction`;
    return [{ label, next: withCopier(spent, index, { frozen: true }) }];
  });
}

/** A user resets the sync: rows and cursor are gone, an open load is abandoned. */
function resetSteps(config: Config, state: State): Step<State>[] {
  const spent = spend(state, 'reset');
  const last = state.workflows.length - 1;
  const isDone = state.db.loads.some((load) => load?.openedBy === last && load.phase === 'done');
  if (!spent || !isWorking(state) || isDone) return [];
  const emptied = withDb(spent, { copies: state.db.copies.map(() => 0), cursor: 0 });
  const open = state.db.loads.findIndex((load) => load?.phase === 'open');
  const slots = state.db.loads[open]?.leases.map((_, slot) => slot) ?? [];
  const blockers = blockersOf(config, state, open, slots);
  if (config.rules.abandonFences && blockers.copiers.length + blockers.orphans.length > 0) return [];
  const next = open < 0 ? emptied : abandon(config, emptied, open);
  return [{ label: 'a user resets the sync', next: { ...next, tampered: true } }];
}

/** Somebody drops the target and creates it again. */
function recreateSteps(state: State): Step<State>[] {
  const spent = spend(state, 'recreate');
  if (!spent) return [];
  const next = withDb(spent, { table: state.db.table + 1, copies: state.db.copies.map(() => 0) });
  return [{ label: 'somebody drops the target and creates it again', next: { ...next, tampered: true } }];
}

/** Clean-up drops a load's checkpoints and shadow. */
function cleanSteps(config: Config, state: State): Step<State>[] {
  const spent = spend(state, 'clean');
  if (!spent) return [];
  return state.db.loads.flatMap((load, index) => {
    if (!load || (load.phase === 'open' && config.rules.cleanOnlyClosed)) return [];
    const checkpoints = load.checkpoints.map(() => []);
    const next = withLoad(spent, index, { checkpoints, shadow: load.shadow.map(() => 0) });
    return [{ label: `clean-up drops what is left of the load of run ${load.openedBy + 1}`, next }];
  });
}

/** The first run is paused, the columns of its source change, and it is resumed: its plan is another one. */
function driftSteps(state: State): Step<State>[] {
  const spent = spend(state, 'drift');
  if (!spent || state.workflows[0]?.stage !== 'copy') return [];
  const next = withWorkflow(prepareAgain(spent, 0), 0, { plan: 'z' });
  return [{ label: 'run 1 is paused, its source changes, it is resumed', next }];
}

export function faultSteps(config: Config, state: State): Step<State>[] {
  return [
    ...takeoverSteps(config, state),
    ...killSteps(config, state),
    ...restoreSteps(state),
    ...freezeSteps(state),
    ...resetSteps(config, state),
    ...recreateSteps(state),
    ...cleanSteps(config, state),
    ...driftSteps(state),
  ];
}
