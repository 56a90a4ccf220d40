/**
 * The claim protocol, explored: every interleaving of what dispatchers, engine, clocks and faults do, within small
 * bounds. With all rules on nothing breaks; with any one off the named damage is found. Some rules have a second net
 * under them: those are listed with it, and all are taken away together.
 */
import { describe, expect, test } from '@jest/globals';
import { exploreClaims } from './model.ts';
import { claimRules } from './rules.ts';
import type { ClaimRule } from './rules.ts';
import { claimScenarios } from './scenarios.ts';

type ScenarioName = keyof typeof claimScenarios;
interface Damage {
  readonly where: ScenarioName;
  readonly says: string;
  /** The rules that catch it too. Without this one alone nothing breaks; without all of them it does. */
  readonly net?: ClaimRule | readonly ClaimRule[];
}

const stuck = 'the work can never be done';
const tooMany = 'more runs are at work than there are places';
const otherPauses = 'a due time is judged by pauses of another time';
const waitingHolder = 'a run that holds a place waits for one';

const damage: Partial<Record<ClaimRule, Damage>> = {
  claimMoves: { where: 'ticks', says: stuck, net: 'sweepSettles' },
  pausesAreIntervals: { where: 'pauses', says: otherPauses, net: 'pauseSettlesFirst' },
  pauseSettlesFirst: { where: 'pauses', says: otherPauses, net: 'pausesAreIntervals' },
  editSettlesFirst: { where: 'edits', says: 'an edit erases a due time' },
  settleAsksStatus: { where: 'deletes', says: 'a deleted sync has a new slot' },
  publishCarriesVersion: { where: 'edits', says: 'the index looks at a sync later than its rows say' },
  sweepSettles: { where: 'ticks', says: stuck, net: 'claimMoves' },
  settleLocks: { where: 'settles', says: 'a due time has two slots', net: 'slotIsUnique' },
  slotIsUnique: { where: 'settles', says: 'a due time has two slots', net: 'settleLocks' },
  offerSkipsHolders: { where: 'overlap', says: waitingHolder },
  admitWaitsForPlaces: { where: 'refilled', says: tooMany },
  admitTakesPlace: { where: 'places', says: tooMany },
  admitKeepsCaps: { where: 'sources', says: 'more runs read from a source than it may have' },
  admitKeepsTenantCaps: { where: 'tenants', says: 'more runs of a tenant are at work than it may have' },
  freeWakesTenant: { where: 'tenants', says: stuck, net: 'sweepOffers' },
  admitKeepsRates: { where: 'rates', says: 'two runs of a source start closer than they may' },
  gapEnds: { where: 'rates', says: stuck, net: ['sweepUnparks', 'freeUnparks'] },
  laterComesBack: { where: 'early', says: stuck },
  offerKeepsLater: { where: 'early', says: 'a run waits twice' },
  offerKeepsParked: { where: 'sources', says: 'a run waits twice' },
  freeUnparks: { where: 'sources', says: stuck, net: 'sweepUnparks' },
  sweepUnparks: { where: 'sources', says: stuck, net: 'freeUnparks' },
  ticketsRunOut: { where: 'crashes', says: stuck },
  slowAskersGiveUp: { where: 'overlap', says: 'a refusal frees the place of a run at work' },
  answersCarryToken: { where: 'overlap', says: 'a refusal frees the place of a run at work' },
  sweepOffers: { where: 'ticks', says: stuck },
  rowSaysQueued: { where: 'places', says: tooMany },
  rowSaysDue: { where: 'early', says: 'a run starts before its due time' },
  rowSaysNotPaused: { where: 'pauses', says: 'a run starts during a pause' },
  rowSaysThere: { where: 'deletes', says: 'a run of a deleted sync starts', net: 'deleteDropsRuns' },
  deleteDropsRuns: { where: 'deletes', says: 'a run of a deleted sync starts', net: 'rowSaysThere' },
  resumeOffers: { where: 'pauses', says: stuck, net: 'sweepOffers' },
  rowSaysAlone: { where: 'overlap', says: 'two runs of a sync are at work' },
  rowSaysFirst: { where: 'overlap', says: 'a due time runs before an earlier one' },
  workflowIdFromRun: { where: 'crashes', says: 'a run is started twice' },
  stuckIsStarted: { where: 'early', says: 'a run is final that never ran' },
  sweepStarts: { where: 'flushed', says: stuck },
  cancelIsRepeated: { where: 'cancels', says: stuck },
  goneIsFinal: { where: 'terminated', says: stuck },
  closedIsFinal: { where: 'terminated', says: stuck },
  finalReleases: { where: 'places', says: stuck, net: 'sweepFrees' },
  sweepFrees: { where: 'crashes', says: stuck },
  sweepSparesTickets: { where: 'places', says: tooMany },
  holdersStopWaiting: { where: 'older', says: waitingHolder },
  refillPlacesFirst: { where: 'refilled', says: tooMany },
  refillKeepsToken: { where: 'refilled', says: tooMany },
};

/** Without them nothing breaks for good; why they are kept. */
const spare: Partial<Record<ClaimRule, string>> = {
  sweepHolds:
    'A run whose ticket was in flight when Redis was emptied holds no place until it ends; the sweep makes it visible sooner.',
};

const ruleNames = Object.keys(claimRules) as ClaimRule[];

describe('the claim protocol', () => {
  test.each(Object.keys(claimScenarios) as ScenarioName[])(
    'keeps every invariant, and can always finish: %s',
    (name) => {
      expect(exploreClaims(claimScenarios[name]).violation).toBeUndefined();
    },
  );

  test.each(ruleNames.filter((name) => damage[name]))('is broken without %s', (name) => {
    const { where, says, net } = damage[name] as Damage;
    expect(exploreClaims(claimScenarios[where], [name, ...[net ?? []].flat()]).violation?.message).toBe(says);
  });

  test.each(ruleNames.filter((name) => damage[name]?.net))('has a second net under %s', (name) => {
    expect(exploreClaims(claimScenarios[damage[name]!.where], [name]).violation).toBeUndefined();
  });

  test('has a switch for every rule', () => {
    expect([...Object.keys(damage), ...Object.keys(spare)].toSorted()).toEqual(ruleNames.toSorted());
  });
});
