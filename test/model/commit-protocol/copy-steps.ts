/** What one attempt at a partition does, statement by statement: take the lease, begin a batch, commit it. */
import type { Step } from '../explore.ts';
import { endRun, finishPartition, forgetLoad, callAgain } from './workflow.ts';
import { spend, withBroken, withCopier, withDb, withLoad } from './state.ts';
import type { Batch, Checkpoint, Config, Copier, Lease, Load, State } from './state.ts';

const none: Checkpoint = { no: 0, lo: 0, hi: 0, rows: 0, final: false };

const newestOf = (load: Load, part: number): Checkpoint => load.checkpoints[part]?.at(-1) ?? none;

/** Where the lease of a partition is kept. */
export const slotOf = (config: Config, part: number): number => (config.rules.leasePerPartition ? part : 0);

const nameOf = (copier: Copier): string =>
  `run ${copier.run + 1} partition ${copier.part + 1} attempt ${copier.born}${copier.replaced ? ' (replaced)' : ''}`;

/** The transactions that hold a lease's share lock. */
export function blockersOf(config: Config, state: State, load: number, slots: readonly number[], but = -1) {
  const holds = (batch: Batch | null): boolean =>
    config.rules.batchLocksLease && batch?.load === load && slots.includes(slotOf(config, batch.part));
  return {
    copiers: state.copiers.flatMap((each, i) => (i !== but && holds(each.batch) ? [i] : [])),
    orphans: state.orphans.flatMap((each, i) => (holds(each) ? [i] : [])),
  };
}

/** What can happen while a statement waits for a lease: its holder is ended. */
export function waitSteps(
  state: State,
  config: Config,
  blockers: ReturnType<typeof blockersOf>,
  who: string,
  waiter?: Copier,
): Step<State>[] {
  const steps: Step<State>[] = [];
  if (!config.rules.waiterEndsBlocker) return steps;
  for (const i of blockers.copiers) {
    const blocker = state.copiers[i];
    if (!blocker) continue;
    const ended = withCopier(state, i, blocker.frozen ? null : { at: 'take', batch: null });
    const wrong = waiter?.replaced && waiter.run === blocker.run && waiter.born < blocker.born;
    const next = wrong ? withBroken(ended, 'a replaced attempt ends its replacement’s transaction') : ended;
    steps.push({ label: `${who} waits and ends the transaction of ${nameOf(blocker)}`, next });
  }
  for (const i of blockers.orphans) {
    const next = { ...state, orphans: state.orphans.filter((_, at) => at !== i) };
    steps.push({ label: `${who} waits and ends an orphaned transaction`, next });
  }
  return steps;
}

const isBlocked = (blockers: ReturnType<typeof blockersOf>): boolean =>
  blockers.copiers.length + blockers.orphans.length > 0;

/** Rule 1 as one step, or two where a rule that makes it one is off. */
function takeSteps(config: Config, state: State, index: number, copier: Copier): Step<State>[] {
  const { rules } = config;
  const who = nameOf(copier);
  const load = state.db.loads[copier.load];
  if (!load) return [{ label: `${who} finds no lease`, next: forgetLoad(state, index) }];
  const isFinal = state.db.runs[copier.run] === 'final' && rules.takeRefusesFinalRun;
  if (copier.at === 'take' && !(rules.takeLocksRun && rules.takeReadsAfterLock)) {
    const { no, hi } = newestOf(load, copier.part);
    const next = withCopier(state, index, isFinal ? null : { at: 'looked', no, hi });
    return [{ label: `${who} looks at its run and the checkpoints`, next }];
  }
  if (isFinal && rules.takeLocksRun) {
    return [{ label: `${who} finds its run final`, next: withCopier(state, index, null) }];
  }
  if (rules.abandonFences && load.phase === 'abandoned') {
    return [{ label: `${who} finds the load abandoned`, next: forgetLoad(state, index) }];
  }
  if (rules.fencedNeverWaits && isFenced(config, load, copier))
    return [acquire(config, state, index, copier, load)];
  const blockers = blockersOf(config, state, copier.load, [slotOf(config, copier.part)], index);
  return isBlocked(blockers)
    ? waitSteps(state, config, blockers, who, copier)
    : [acquire(config, state, index, copier, load)];
}

/** Whether the lease is held by this attempt's run under an epoch that this attempt does not beat. */
export function isFenced(config: Config, load: Load, copier: Copier): boolean {
  const { rules, scenario } = config;
  const lease = load.leases[slotOf(config, copier.part)];
  if (!rules.takeComparesEpochs || !rules.epochsFromEngine || lease?.run !== copier.run) return false;
  return scenario.reconnect === 'same attempt' ? lease.epoch > copier.epoch : lease.epoch >= copier.epoch;
}

/** The update of the lease, once nothing is in its way. */
function acquire(config: Config, state: State, index: number, copier: Copier, load: Load): Step<State> {
  const { rules } = config;
  const who = nameOf(copier);
  const lease = load.leases[slotOf(config, copier.part)];
  if (!lease) throw new Error('a load without leases');
  const epoch = rules.epochsFromEngine ? copier.epoch : lease.epoch + 1;
  if (isFenced(config, load, copier)) {
    const wrong = !copier.replaced && lease.epoch > epoch;
    const fenced = callAgain(config, state, index);
    return {
      label: `${who} is fenced`,
      next: wrong ? withBroken(fenced, 'an attempt that nobody replaced is fenced') : fenced,
    };
  }
  const latest = lease.run === copier.run ? Math.max(lease.latest, copier.born) : copier.born;
  const taken: Lease = { run: copier.run, epoch, latest };
  const leases = load.leases.with(slotOf(config, copier.part), taken);
  const runs = state.db.runs.map((each, i) => (i === copier.run && each === 'absent' ? 'open' : each));
  const next = withLoad(withDb(state, { runs }), copier.load, { leases });
  const falls = rules.takeComparesEpochs && lease.run === copier.run && lease.epoch > epoch;
  const checked = falls ? withBroken(next, 'the epoch of a lease falls within a run') : next;
  return { label: `${who} takes the lease`, next: readOn(config, checked, index, { ...copier, epoch }) };
}

/** After the lease is taken: the checkpoints decide where to go on. */
function readOn(config: Config, state: State, index: number, copier: Copier): State {
  const load = state.db.loads[copier.load];
  if (!load) return state;
  const newest = newestOf(load, copier.part);
  if (newest.final) return finishPartition(state, index);
  const position = config.rules.takeReadsAfterLock ? { no: newest.no, hi: newest.hi } : {};
  const ready = withCopier(state, index, { at: 'ready', epoch: copier.epoch, ...position });
  if (config.scenario.resumable || newest.no === 0) return ready;
  if (!config.rules.restartUnderLease) return withCopier(ready, index, { at: 'emptying' });
  const checkpoints = load.checkpoints.with(copier.part, []);
  const forgot = withCopier(withLoad(ready, copier.load, { checkpoints }), index, { no: 0, hi: 0 });
  if (!config.rules.restartAtOnce) return withCopier(forgot, index, { at: 'emptying' });
  return withLoad(forgot, copier.load, { shadow: load.shadow.map(() => 0) });
}

/** The rest of a restart that was not one transaction. */
function emptyingSteps(state: State, index: number, copier: Copier): Step<State>[] {
  const load = state.db.loads[copier.load];
  const label = `${nameOf(copier)} empties the shadow`;
  if (!load) return [{ label, next: withCopier(state, index, null) }];
  const emptied = withLoad(state, copier.load, {
    shadow: load.shadow.map(() => 0),
    checkpoints: load.checkpoints.with(copier.part, []),
  });
  return [{ label, next: withCopier(emptied, index, { at: 'ready', no: 0, hi: 0 }) }];
}

/** The rows that an attempt would still read, in the order in which its statement delivers them. */
function remainingRows(config: Config, load: Load, copier: Copier): number[] {
  const { scenario, rules } = config;
  const high = rules.planFrozen ? load.high : (scenario.highs[copier.run] ?? load.high);
  const inWindow = scenario.rows.flatMap((row, i) =>
    row.part === copier.part && row.cursor > load.low && row.cursor <= high ? [i] : [],
  );
  if (scenario.resumable) return inWindow.filter((i) => (scenario.rows[i]?.key ?? 0) > copier.hi);
  const ordered = copier.born % 2 === 0 ? inWindow.toReversed() : inWindow;
  return ordered.slice(copier.hi);
}

/** Every way to cut the next batch: after any number of rows, by size or because the source is slow. */
function cutsOf(config: Config, load: Load, copier: Copier): Batch[] {
  const { rows } = config.scenario;
  const remaining = remainingRows(config, load, copier);
  const keyOf = (i: number | undefined): number => (i === undefined ? 0 : (rows[i]?.key ?? 0));
  const cut = (size: number, final: boolean): Batch => {
    const taken = remaining.slice(0, size);
    const hi = config.scenario.resumable ? keyOf(taken.at(-1)) || copier.hi : copier.hi + size;
    const { run, epoch, part } = copier;
    return { load: copier.load, part, run, epoch, no: copier.no + 1, lo: copier.hi, hi, rows: taken, final };
  };
  const sizes = remaining
    .map((_, i) => i + 1)
    .filter((size) => {
      const splits = size < remaining.length && keyOf(remaining[size - 1]) === keyOf(remaining[size]);
      return !(config.rules.cutWhereKeyChanges && config.scenario.resumable && splits);
    });
  if (remaining.length === 0) return [cut(0, true)];
  return sizes.map((size) => cut(size, size === remaining.length));
}

/** The first statements of a batch's transaction: lease and newest checkpoint looked at under the lease's lock. */
function beginSteps(config: Config, state: State, index: number, copier: Copier): Step<State>[] {
  const { rules } = config;
  const who = nameOf(copier);
  const load = state.db.loads[copier.load];
  if (!load) return [{ label: `${who} finds no lease`, next: forgetLoad(state, index) }];
  const lease = load.leases[slotOf(config, copier.part)];
  const isMine = lease?.run === copier.run && lease.epoch === copier.epoch;
  const isKnown = newestOf(load, copier.part).no === copier.no;
  if ((rules.batchChecksLease && !isMine) || (rules.batchKnowsNewest && !isKnown)) {
    return [
      {
        label: `${who} begins a batch and finds ${isMine ? 'other checkpoints' : 'another’s lease'}`,
        next: withCopier(state, index, { at: 'take' }),
      },
    ];
  }
  if (rules.batchChecksTarget && load.table !== state.db.table) {
    return [{ label: `${who} finds another table`, next: endRun(state, copier.run, 'failed') }];
  }
  const isEmpty = copier.no === 0 && remainingRows(config, load, copier).length === 0;
  if (isEmpty && !rules.emptyHasFinal) {
    return [{ label: `${who} reads no row`, next: finishPartition(state, index) }];
  }
  return cutsOf(config, load, copier).map((batch) => ({
    label: `${who} begins batch ${batch.no} with ${batch.rows.length} rows${batch.final ? ', the last' : ''}`,
    next: withCopier(state, index, { at: 'open', batch }),
  }));
}

/** The state with a batch committed: rows and checkpoint. Says what was wrong about it. */
function applyBatch(config: Config, state: State, batch: Batch, born: number): State {
  const load = state.db.loads[batch.load];
  if (!load) return withBroken(state, 'a batch is committed for a load that is not there');
  const lease = load.leases[slotOf(config, batch.part)];
  const isUpsert = config.scenario.mode === 'upsert';
  const add = (counts: readonly number[]): number[] =>
    counts.map((count, i) => {
      if (!batch.rows.includes(i)) return count;
      return isUpsert ? 1 : count + 1;
    });
  const checkpoint: Checkpoint = {
    no: batch.no,
    lo: batch.lo,
    hi: batch.hi,
    rows: batch.rows.length,
    final: batch.final,
  };
  const checkpoints = load.checkpoints.with(batch.part, [
    ...(load.checkpoints[batch.part] ?? []),
    checkpoint,
  ]);
  const versions = state.db.versions.map((each, i) =>
    batch.rows.includes(i) && isUpsert ? batch.run + 1 : each,
  );
  const next = config.scenario.resumable
    ? withLoad(withDb(state, { copies: add(state.db.copies), versions }), batch.load, { checkpoints })
    : withLoad(state, batch.load, { checkpoints, shadow: add(load.shadow) });
  if (state.db.runs[batch.run] === 'final') return withBroken(next, 'a batch is committed for a final run');
  if (state.workflows[batch.run]?.stage === 'closed' && !state.tampered) {
    return withBroken(next, 'a batch is committed for a run that control calls final');
  }
  if (lease?.run !== batch.run || lease.epoch !== batch.epoch) {
    return withBroken(next, 'a batch is committed under another’s lease');
  }
  if (born < lease.latest)
    return withBroken(next, 'a replaced attempt writes after its replacement has begun');
  return outsidePlan(config, load, batch) ? withBroken(next, 'a batch is not of its load’s plan') : next;
}

const outsidePlan = (config: Config, load: Load, batch: Batch): boolean =>
  batch.rows.some((i) => {
    const cursor = config.scenario.rows[i]?.cursor ?? 0;
    return cursor <= load.low || cursor > load.high;
  });

/** The last statements of a batch's transaction: the checkpoint's insert and COMMIT, with and without an answer. */
function commitSteps(config: Config, state: State, index: number, copier: Copier): Step<State>[] {
  const { rules } = config;
  const { batch } = copier;
  if (!batch) return [];
  const what = `${nameOf(copier)} commits batch ${batch.no}`;
  const isSame = (other: { no: number }): boolean => rules.batchNumberUnique && other.no === batch.no;
  const isPending = state.orphans.some(
    (each) => each.load === batch.load && each.part === batch.part && isSame(each),
  );
  if (isPending) return [];
  if (state.db.loads[batch.load]?.checkpoints[batch.part]?.some(isSame)) {
    const next = withCopier(state, index, { at: 'take', batch: null });
    return [{ label: `${what}: the batch is there already`, next: { ...next, tampered: next.tampered } }];
  }
  const steps = [{ label: what, next: committed(config, state, index, copier, batch) }];
  const unknown = spend(state, 'unknownCommit');
  if (unknown) {
    const orphaned = { ...unknown, orphans: [...unknown.orphans, batch] };
    steps.push({
      label: `${what} and gets no answer`,
      next: afterUnknown(config, orphaned, index, copier, batch),
    });
  }
  const swallowed = batch.rows.length > 0 ? spend(state, 'swallow') : null;
  if (swallowed)
    steps.push({
      label: `a trigger swallows a row as ${what}`,
      next: swallow(config, swallowed, index, copier, batch),
    });
  return steps;
}

function committed(config: Config, state: State, index: number, copier: Copier, batch: Batch): State {
  return advance(config, applyBatch(config, state, batch, copier.born), index, copier, batch);
}

/** The writer goes on after a batch that it takes for committed. */
function advance(config: Config, state: State, index: number, copier: Copier, batch: Batch): State {
  const counted = config.rules.receiptFromCheckpoints ? 0 : copier.counted + batch.rows.length;
  const next = withCopier(state, index, { at: 'ready', batch: null, no: batch.no, hi: batch.hi, counted });
  return batch.final ? finishPartition(next, index) : next;
}

function afterUnknown(config: Config, state: State, index: number, copier: Copier, batch: Batch): State {
  if (!config.rules.unknownIsNotDone) return advance(config, state, index, copier, batch);
  const at = config.rules.unknownIsNotFailed ? 'take' : 'ready';
  return withCopier(state, index, { at, batch: null });
}

function swallow(config: Config, state: State, index: number, copier: Copier, batch: Batch): State {
  if (config.rules.batchComparesTag) return endRun(state, copier.run, 'failed');
  const done = committed(config, state, index, copier, batch);
  const lost = batch.rows.at(-1);
  return withDb(done, { copies: done.db.copies.map((count, i) => (i === lost ? count - 1 : count)) });
}

/** A transaction whose client is gone: it lands, or its server ends it. */
export function orphanSteps(config: Config, state: State): Step<State>[] {
  return state.orphans.flatMap((batch, i) => {
    const without = { ...state, orphans: state.orphans.filter((_, at) => at !== i) };
    const what = `the orphaned batch ${batch.no} of run ${batch.run + 1} partition ${batch.part + 1}`;
    return [
      { label: `${what} lands`, next: applyBatch(config, without, batch, batch.epoch) },
      { label: `${what} is rolled back`, next: without },
    ];
  });
}

/** Everything that the copiers can do next. */
export function copierSteps(config: Config, state: State): Step<State>[] {
  return state.copiers.flatMap((copier, index) => {
    if (copier.frozen) return frozenSteps(config, state, index, copier);
    if (copier.at === 'emptying') return emptyingSteps(state, index, copier);
    if (copier.at === 'ready') return beginSteps(config, state, index, copier);
    if (copier.at === 'open') return commitSteps(config, state, index, copier);
    return takeSteps(config, state, index, copier);
  });
}

function frozenSteps(config: Config, state: State, index: number, copier: Copier): Step<State>[] {
  if (copier.at !== 'open' || !config.rules.transactionsTimeOut) return [];
  const label = `the transaction of ${nameOf(copier)} times out`;
  return [{ label, next: withCopier(state, index, null) }];
}
