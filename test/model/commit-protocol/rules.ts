/**
 * The commit protocol, rule by rule. Each rule is a switch of the model: on, it is as the protocol says; off, it is as
 * somebody might have written it without knowing why. `commit-protocol.test.ts` says what breaks without each.
 */
export const rules = {
  // 1: taking a lease
  takeRefusesFinalRun: 'A final run takes no lease.',
  takeLocksRun: 'The run is looked at under a lock that lasts until the lease is taken.',
  takeComparesEpochs: 'Within a run a lease passes only to a later attempt.',
  fencedNeverWaits:
    'An attempt that its lease has passed by ends at once: it waits for nobody and ends nobody.',
  takeReadsAfterLock: 'The checkpoints are read in a statement after the one that waited for the lease.',
  epochsFromEngine:
    'Epochs are the order in which the engine scheduled the attempts; no attempt invents one.',
  leasePerPartition: 'Every partition has a lease of its own.',
  // 2: a batch
  batchChecksLease: 'A batch begins only while the lease is the writer’s.',
  batchLocksLease: 'The lease stays share-locked until the batch is committed or gone.',
  batchKnowsNewest: 'A batch begins only when the newest checkpoint is the one the writer knows.',
  batchNumberUnique:
    '(load, partition, batch) is a primary key, and its violation means: take the lease again.',
  batchChecksTarget: 'A batch is written only into the table that the load was opened for.',
  batchComparesTag: 'The rows that COPY reports are the rows that were sent.',
  cutWhereKeyChanges: 'A batch ends only where the key changes.',
  // 3: waiting
  waiterEndsBlocker: 'A take that waits ends the transaction that it waits for.',
  transactionsTimeOut: 'A transaction whose client is silent is ended by its own time-outs.',
  // 4: COMMIT without an answer
  unknownIsNotFailed: 'A COMMIT without an answer is not taken for a failure.',
  unknownIsNotDone: 'A COMMIT without an answer is not taken for a success.',
  // 5: loads
  loadIdFromRun: 'The id of a load follows from the run that opens it.',
  openRefusesFinalRun: 'A final run opens no load.',
  openComparesCursor: 'A load is opened only while the locked cursor is where its window begins.',
  oneOpenLoad: 'A sync has one open load at most.',
  planFrozen: 'Whoever continues a load executes the plan that it was opened with.',
  unfinishedFirst: 'An unfinished load is finished before another one is opened.',
  appendNeverAbandons: 'An append load that has committed rows is not abandoned without asking.',
  abandonLooksLast: 'Whether a load has committed rows is looked at once nobody writes to it any more.',
  abandonFences: 'Abandoning a load clears its leases, and none is taken of a load that is not open.',
  backfillLeavesCursor: 'Only a load that was planned to move the cursor moves it.',
  // 6: finishing
  finishNamesLoad: 'Finish names its load.',
  finishRefusesFinalRun: 'A final run finishes nothing.',
  finishTakesLeases: 'Finish takes all leases.',
  finishProves: 'Finish proves that each partition is 1..n, chained and complete.',
  finishChecksTarget: 'Finish publishes only the table that the load was opened for.',
  emptyHasFinal: 'A partition without rows has a final checkpoint too.',
  finishOnce: 'A load that is done is not finished again: its stored receipt is returned.',
  publishAtOnce: 'A shadow’s rows reach the target in the transaction that makes the load done.',
  finishAtOnce: 'Phase, cursor and receipt change in one transaction.',
  cursorFromLow: 'The cursor moves to the high end only from the low end of the window.',
  receiptFromCheckpoints: 'The receipt is the sum of the checkpoints.',
  // 7: making a run final
  closeInDestinationFirst: 'A run is final in the destination before control calls it so.',
  closeMarksRun: 'Making a run final marks it in the destination.',
  closeClearsLeases: 'Making a run final clears its leases.',
  closeAtOnce: 'Mark and leases change in one transaction.',
  doneSucceeds: 'A run whose load is done has succeeded, whatever was asked meanwhile.',
  // 8: restarting and cleaning
  restartAtOnce: 'A restart empties the shadow and the checkpoints in one transaction.',
  restartUnderLease: 'A restart happens in the transaction that takes the lease.',
  cleanOnlyClosed: 'Clean-up leaves open loads alone.',
} as const;

export type RuleName = keyof typeof rules;
export type RuleSet = Readonly<Record<RuleName, boolean>>;

/** All rules but those named. */
export function allRulesBut(...off: readonly RuleName[]): RuleSet {
  const on = Object.fromEntries(Object.keys(rules).map((name) => [name, true]));
  return { ...on, ...Object.fromEntries(off.map((name) => [name, false])) } as RuleSet;
}
