/**
 * Fewer states with the same meaning: a replaced attempt that is not in a transaction, does not hold its lease and can
 * never take it again has nothing left to do but to find that out. It is dropped at once instead of step by step.
 */
import { isFenced, slotOf } from './copy-steps.ts';
import type { RuleName } from './rules.ts';
import type { Config, Copier, State } from './state.ts';

/** The rules that make it so. */
const needed: readonly RuleName[] = [
  'takeRefusesFinalRun',
  'takeLocksRun',
  'takeComparesEpochs',
  'fencedNeverWaits',
  'takeReadsAfterLock',
  'epochsFromEngine',
  'batchChecksLease',
  'batchLocksLease',
];

export const canReduce = (config: Config): boolean => needed.every((rule) => config.rules[rule]);

function isSpent(config: Config, state: State, copier: Copier): boolean {
  if (!copier.replaced || (copier.at !== 'take' && copier.at !== 'ready')) return false;
  const load = state.db.loads[copier.load];
  const lease = load?.leases[slotOf(config, copier.part)];
  if (!load || !lease) return false;
  const holds = lease.run === copier.run && lease.epoch === copier.epoch;
  if (copier.at === 'ready' && holds) return false;
  return state.db.runs[copier.run] === 'final' || (!holds && isFenced(config, load, copier));
}

/** The state without processes that have nothing left to do. A restore to come would give them another chance. */
export function reduced(config: Config, state: State): State {
  if ((state.left.restore ?? 0) > 0) return state;
  const copiers = state.copiers.filter((copier) => !isSpent(config, state, copier));
  return copiers.length === state.copiers.length ? state : { ...state, copiers };
}
