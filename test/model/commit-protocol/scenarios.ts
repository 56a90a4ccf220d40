/** Small worlds, each with the faults that one part of the protocol is about. Together they reach every rule. */
import { explore } from '../explore.ts';
import type { Exploration, Step } from '../explore.ts';
import { copierSteps, orphanSteps } from './copy-steps.ts';
import { faultSteps } from './fault-steps.ts';
import { fingerprintOf } from './fingerprint.ts';
import { isDone, violationOf } from './invariants.ts';
import { stragglerSteps, workflowSteps } from './load-steps.ts';
import { canReduce, reduced } from './reduce.ts';
import { allRulesBut } from './rules.ts';
import type { RuleName } from './rules.ts';
import { initialState } from './state.ts';
import type { Config, Scenario, State } from './state.ts';

const base: Scenario = {
  rows: [
    { key: 1, cursor: 1, part: 0 },
    { key: 2, cursor: 1, part: 0 },
    { key: 3, cursor: 2, part: 0 },
    { key: 9, cursor: 1, part: 1 },
  ],
  parts: 2,
  highs: [1, 2],
  plans: ['a', 'a'],
  mode: 'append',
  resumable: true,
  backfills: [],
  reconnect: 'same attempt',
  faults: {},
};
const onePart: Scenario = { ...base, rows: base.rows.filter((row) => row.part === 0), parts: 1 };
const oneWindow: Scenario = { ...base, rows: base.rows.filter((row) => row.cursor === 1), highs: [1, 1] };

export const scenarios = {
  /**
   * Two partitions and two runs with a window each, the first made final behind the back of its attempts; two takeovers,
   * a COMMIT without an answer.
   */
  takeovers: { ...base, faults: { takeover: 2, kill: 1, unknownCommit: 1 } },
  /** One partition, and more of it. */
  windows: { ...onePart, faults: { takeover: 3, kill: 1, unknownCommit: 2 } },
  unanswered: {
    ...onePart,
    rows: base.rows.slice(0, 2),
    highs: [1, 1],
    faults: { takeover: 1, unknownCommit: 2 },
  },
  /** The destination goes back to an older state. */
  restored: { ...onePart, faults: { takeover: 1, kill: 1, restore: 1 } },
  restoredOfTwo: { ...oneWindow, faults: { takeover: 1, restore: 1 } },
  /** A replaced attempt freezes inside its transaction. */
  frozen: { ...oneWindow, faults: { takeover: 1, freeze: 1, kill: 1 } },
  /** An attempt whose connection died asks to be called again. */
  calledAgain: { ...onePart, reconnect: 'new call', faults: { takeover: 1, kill: 1, unknownCommit: 1 } },
  /** A key that is not unique, and a partition without rows. */
  ties: {
    ...base,
    rows: [1, 2, 2].map((key) => ({ key, cursor: 1, part: 0 })),
    highs: [1, 1],
    faults: { takeover: 1 },
  },
  /** The second run has another plan: upsert abandons the first one's load, append asks. */
  upsertOtherPlan: {
    ...onePart,
    mode: 'upsert',
    plans: ['a', 'b'],
    highs: [2, 2],
    faults: { takeover: 1, kill: 1 },
  },
  appendOtherPlan: { ...onePart, plans: ['a', 'b'], highs: [2, 2], faults: { takeover: 1, kill: 1 } },
  /** The first run's own plan changes while an attempt of it does not hear. */
  appendDrifts: {
    ...onePart,
    rows: base.rows.slice(0, 2),
    highs: [1, 1],
    faults: { drift: 1, takeover: 1, unknownCommit: 1 },
  },
  /** A user resets the sync while it is at work. */
  reset: {
    ...onePart,
    highs: [2, 2],
    rows: base.rows.slice(0, 2),
    faults: { takeover: 1, kill: 1, reset: 1 },
  },
  /** The first run fills in the past. */
  backfill: {
    ...base,
    rows: [0, 0, 1].map((cursor, i) => ({ key: i + 1, cursor, part: 0 })),
    parts: 1,
    highs: [0, 1],
    backfills: [0],
    faults: { takeover: 1, unknownCommit: 1 },
  },
  /** A result that cannot be continued: a shadow, and every attempt starts again. */
  restarts: { ...onePart, highs: [2, 2], resumable: false, faults: { takeover: 2, unknownCommit: 1 } },
  /** Somebody else changes the target, clean-up runs. */
  recreated: { ...oneWindow, faults: { recreate: 1 } },
  swallowed: { ...oneWindow, faults: { swallow: 1 } },
  cleaned: { ...onePart, faults: { kill: 1, clean: 1 } },
} satisfies Record<string, Scenario>;

/** Everything that can happen next. */
function stepsOf(config: Config, state: State): Step<State>[] {
  return [
    ...workflowSteps(config, state),
    ...copierSteps(config, state),
    ...orphanSteps(config, state),
    ...stragglerSteps(config, state),
    ...faultSteps(config, state),
  ];
}

/** Explores a scenario with some rules off. */
export function exploreScenario(scenario: Scenario, off: readonly RuleName[] = []): Exploration {
  const config = { scenario, rules: allRulesBut(...off) };
  const mayReduce = canReduce(config);
  return explore<State>({
    initial: initialState(scenario),
    steps: (state) => {
      const steps = stepsOf(config, state);
      return mayReduce ? steps.map(({ label, next }) => ({ label, next: reduced(config, next) })) : steps;
    },
    fingerprint: fingerprintOf,
    violation: (state) => violationOf(config, state),
    isDone: (state) => isDone(config, state),
  });
}
