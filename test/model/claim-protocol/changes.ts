/**
 * What users do to a sync, each in one transaction that settles it first; what index and engine hear of it after the
 * commit may be late, or never come.
 */
import type { Step } from '../explore.ts';
import { cancel, runsWhere, settle } from './rows.ts';
import {
  begun,
  isAtWork,
  isPaused,
  isPlanned,
  nextDueOf,
  slotsOf,
  withClaimBroken,
  withRun,
  withSync,
} from './state.ts';
import type { ClaimChange, ClaimConfig, ClaimState } from './state.ts';

/** After the transaction: runs that were made, and workflows that are to end. */
interface Changed {
  readonly state: ClaimState;
  readonly runs: readonly number[];
  readonly tells: readonly number[];
}

/** The transaction of each change, and the rule by which it settles first. */
const changes: Readonly<
  Record<ClaimChange, (config: ClaimConfig, state: ClaimState, sync: number) => Changed>
> = {
  edit: (config, state, sync) => {
    const { state: before, runs } = settleFirst(config, state, sync, config.rules.editSettlesFirst);
    const edited = withSync(before, sync, { version: 2 });
    return { state: replan(config, edited, sync), runs, tells: [] };
  },
  pause: (config, state, sync) => {
    const { state: before, runs } = settleFirst(config, state, sync, config.rules.pauseSettlesFirst);
    const { pauses } = before.syncs[sync]!;
    return {
      state: withSync(before, sync, { pauses: [...pauses, { from: state.now, until: null }] }),
      runs,
      tells: [],
    };
  },
  resume: (config, state, sync) => {
    const { state: before, runs } = settleFirst(config, state, sync, config.rules.pauseSettlesFirst);
    const pauses = before.syncs[sync]!.pauses.map((each) => ({ ...each, until: each.until ?? state.now }));
    const waiting = runsWhere(before, (row, run) => row.status === 'queued' && isOf(config, sync, run));
    return {
      state: withSync(before, sync, { pauses }),
      runs: config.rules.resumeOffers ? waiting : runs,
      tells: [],
    };
  },
  delete: (config, state, sync) => {
    const { state: before } = settleFirst(config, state, sync, true);
    const isOwn = (run: number): boolean => isOf(config, sync, run);
    const tells = runsWhere(before, (row, run) => isOwn(run) && isAtWork(row));
    const ends = (row: { status: string }, run: number): boolean =>
      isOwn(run) && row.status === 'queued' && config.rules.deleteDropsRuns;
    const ended = runsWhere(before, ends).reduce(
      (next, run) => withRun(next, run, { status: 'final' }),
      before,
    );
    const voided = runsWhere(ended, (row, run) => isOwn(run) && row.status === 'none').reduce(
      (next, run) => withRun(next, run, { status: 'void' }),
      ended,
    );
    return { state: withSync(cancel(voided, tells), sync, { isDeleted: true }), runs: [], tells };
  },
};

const isOf = ({ scenario }: ClaimConfig, sync: number, run: number): boolean =>
  scenario.slots[run]?.sync === sync;

function settleFirst(
  config: ClaimConfig,
  state: ClaimState,
  sync: number,
  does: boolean,
): { state: ClaimState; runs: readonly number[] } {
  return does ? settle(config, state, sync, state.syncs[sync]!.settled) : { state, runs: [] };
}

/** The due times of the spec before are none any more; those of the new one are from now on. */
function replan({ scenario }: ClaimConfig, state: ClaimState, sync: number): ClaimState {
  const row = state.syncs[sync]!;
  const own = slotsOf(scenario, sync);
  const isAhead = (run: number): boolean => scenario.slots[run]!.due > state.now;
  const first = own.findIndex((run) => isPlanned(scenario, row, run) && isAhead(run));
  let next = withSync(state, sync, { settled: first < 0 ? own.length : first });
  for (const run of own) {
    const isNew = isPlanned(scenario, row, run);
    if (state.runs[run]?.status !== 'none' || (isNew && isAhead(run))) continue;
    next = withRun(next, run, { status: 'void' });
    if (!isNew && !isAhead(run)) next = withClaimBroken(next, 'an edit erases a due time');
  }
  return next;
}

const isPossible: Readonly<Record<ClaimChange, (state: ClaimState, sync: number) => boolean>> = {
  edit: ({ syncs }, sync) => syncs[sync]?.version === 1,
  pause: ({ syncs }, sync) => !isPaused(syncs[sync]),
  resume: ({ syncs }, sync) => isPaused(syncs[sync]),
  delete: () => true,
};

/** The changes that may be committed now. */
export function changeSteps(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return (Object.keys(changes) as ClaimChange[]).flatMap((name) => {
    const left = state.left[name] ?? 0;
    if (left === 0) return [];
    const spent: ClaimState = { ...state, left: { ...state.left, [name]: left - 1 } };
    return state.syncs.flatMap(({ isDeleted }, sync) => {
      if (isDeleted || !isPossible[name](state, sync)) return [];
      const { state: changed, runs, tells } = changes[name](config, spent, sync);
      const { version } = changed.syncs[sync]!;
      const next = nextDueOf(config.scenario, changed, sync);
      const operation = begun({ kind: 'change', at: 'publish', sync, read: runs, tells, next, version });
      return [
        {
          label: `sync ${sync}: ${name}`,
          next: {
            ...changed,
            unheard: changed.unheard.with(sync, true),
            operations: [...changed.operations, operation],
          },
        },
      ];
    });
  });
}
