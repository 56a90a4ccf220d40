/**
 * The commit protocol, explored: every interleaving of its steps and of what goes wrong around them, within small
 * bounds. With all rules on nothing breaks; with any one off the shortest way to the damage is in the snapshot. Some
 * rules have a second net under them: those are listed with it, and both are taken away together.
 */
import { afterAll, describe, expect, test } from '@jest/globals';
import { rules } from './rules.ts';
import type { RuleName } from './rules.ts';
import { exploreScenario, scenarios } from './scenarios.ts';

type ScenarioName = keyof typeof scenarios;
interface Damage {
  readonly where: ScenarioName;
  readonly says: string;
  /** The rules that catch it too. Without this one alone nothing breaks; without all of them it does. */
  readonly nets?: readonly RuleName[];
}

const damage: Partial<Record<RuleName, Damage>> = {
  takeRefusesFinalRun: { where: 'takeovers', says: 'a batch is committed for a final run' },
  takeLocksRun: { where: 'takeovers', says: 'a batch is committed for a final run' },
  takeComparesEpochs: { where: 'takeovers', says: 'a replaced attempt ends its replacement’s transaction' },
  fencedNeverWaits: { where: 'takeovers', says: 'a replaced attempt ends its replacement’s transaction' },
  takeReadsAfterLock: {
    where: 'unanswered',
    says: 'checkpoints are not 1..n and chained',
    nets: ['batchKnowsNewest', 'batchNumberUnique'],
  },
  epochsFromEngine: { where: 'takeovers', says: 'a replaced attempt ends its replacement’s transaction' },
  leasePerPartition: { where: 'takeovers', says: 'an attempt that nobody replaced is fenced' },
  batchChecksLease: { where: 'takeovers', says: 'a batch is committed under another’s lease' },
  batchLocksLease: { where: 'takeovers', says: 'a batch is committed under another’s lease' },
  batchKnowsNewest: { where: 'restored', says: 'checkpoints are not 1..n and chained' },
  batchNumberUnique: {
    where: 'unanswered',
    says: 'checkpoints are not 1..n and chained',
    nets: ['unknownIsNotFailed'],
  },
  batchChecksTarget: {
    where: 'recreated',
    says: 'a load is done and a row of it is missing or old',
    nets: ['finishChecksTarget'],
  },
  batchComparesTag: { where: 'swallowed', says: 'a load is done and a row of it is missing or old' },
  cutWhereKeyChanges: { where: 'ties', says: 'a row at or below key_hi is not counted, or twice' },
  waiterEndsBlocker: { where: 'frozen', says: 'the work can never be done', nets: ['transactionsTimeOut'] },
  transactionsTimeOut: { where: 'frozen', says: 'the work can never be done', nets: ['waiterEndsBlocker'] },
  unknownIsNotFailed: {
    where: 'unanswered',
    says: 'checkpoints are not 1..n and chained',
    nets: ['batchNumberUnique'],
  },
  unknownIsNotDone: {
    where: 'unanswered',
    says: 'checkpoints are not 1..n and chained',
    nets: ['batchKnowsNewest'],
  },
  loadIdFromRun: { where: 'windows', says: 'a row is there twice', nets: ['oneOpenLoad'] },
  openRefusesFinalRun: { where: 'windows', says: 'a row is there twice', nets: ['oneOpenLoad'] },
  openComparesCursor: { where: 'restored', says: 'a row is there twice' },
  oneOpenLoad: { where: 'restored', says: 'a row is there twice' },
  planFrozen: { where: 'windows', says: 'a batch is not of its load’s plan' },
  unfinishedFirst: { where: 'appendOtherPlan', says: 'the work can never be done' },
  appendNeverAbandons: { where: 'appendOtherPlan', says: 'a row is there twice' },
  abandonLooksLast: { where: 'appendDrifts', says: 'a row is there twice' },
  abandonFences: { where: 'reset', says: 'a row is there twice' },
  backfillLeavesCursor: { where: 'backfill', says: 'the cursor moves from where the window does not begin' },
  finishNamesLoad: { where: 'restored', says: 'the work can never be done' },
  finishRefusesFinalRun: { where: 'windows', says: 'a load is finished for a final run' },
  finishProves: { where: 'restored', says: 'a load is done and a row of it is missing or old' },
  finishChecksTarget: { where: 'recreated', says: 'a load is done and a row of it is missing or old' },
  emptyHasFinal: { where: 'ties', says: 'the work can never be done' },
  finishOnce: { where: 'backfill', says: 'a load is finished twice' },
  publishAtOnce: { where: 'restarts', says: 'a row is there twice' },
  finishAtOnce: { where: 'windows', says: 'a row is there twice' },
  cursorFromLow: { where: 'windows', says: 'a load is finished twice', nets: ['finishOnce'] },
  receiptFromCheckpoints: { where: 'windows', says: 'a receipt is not the sum of its checkpoints' },
  closeInDestinationFirst: {
    where: 'takeovers',
    says: 'a batch is committed for a run that control calls final',
  },
  closeMarksRun: { where: 'takeovers', says: 'a batch is committed for a run that control calls final' },
  closeClearsLeases: { where: 'takeovers', says: 'a batch is committed for a final run' },
  closeAtOnce: { where: 'takeovers', says: 'a batch is committed for a final run' },
  doneSucceeds: { where: 'windows', says: 'a run has failed and its load is done' },
  restartAtOnce: { where: 'restarts', says: 'a row is there twice' },
  restartUnderLease: { where: 'restarts', says: 'checkpoints are not 1..n and chained' },
  cleanOnlyClosed: { where: 'cleaned', says: 'checkpoints are not 1..n and chained' },
};

/** Without them nothing breaks in the model, whatever else is off; why they are kept. */
const spare: Partial<Record<RuleName, string>> = {
  finishTakesLeases:
    'A final checkpoint is there only when no older writer holds its lease, so nothing can be in flight when a load is complete.',
};

const names = Object.keys(rules) as RuleName[];
const scenarioNames = Object.keys(scenarios) as ScenarioName[];

describe('the commit protocol', () => {
  const total = { states: 0, transitions: 0 };

  test.each(scenarioNames)('keeps every invariant, and can always finish: %s', (name) => {
    const result = exploreScenario(scenarios[name]);
    total.states += result.states;
    total.transitions += result.transitions;
    expect(result.violation).toBeUndefined();
  });

  test.each(names.filter((name) => damage[name]))('is broken without %s', (name) => {
    const { where, says, nets = [] } = damage[name] as Damage;
    const { violation } = exploreScenario(scenarios[where], [name, ...nets]);
    expect(violation?.message).toBe(says);
    expect([rules[name], ...(violation?.trace ?? [])]).toMatchSnapshot();
  });

  test.each(names.filter((name) => damage[name]?.nets))('has a second net under %s', (name) => {
    const { where } = damage[name] as Damage;
    expect(exploreScenario(scenarios[where], [name]).violation).toBeUndefined();
  });

  test('has an account of every rule', () => {
    expect([...Object.keys(damage), ...Object.keys(spare)].toSorted()).toEqual(names.toSorted());
  });

  afterAll(() => {
    process.stdout.write(
      `model of the commit protocol: ${total.states} states, ${total.transitions} transitions, ${scenarioNames.length} scenarios\n`,
    );
  });
});
