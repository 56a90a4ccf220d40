/** What transactions of the control database do: settle, the rows' word on a run, and what they are read for. */
import {
  isAtWork,
  isCovered,
  isPaused,
  isPlanned,
  never,
  slotsOf,
  withClaimBroken,
  withRun,
  withSync,
} from './state.ts';
import type { ClaimConfig, ClaimState, RunRow } from './state.ts';

export interface Settled {
  readonly state: ClaimState;
  /** A due time had passed, or there is nothing to look at any more. */
  readonly wasDue: boolean;
  readonly runs: readonly number[];
  /** Runs that a due time has overlapped: they are to end. */
  readonly overlapped: readonly number[];
}

/** Due slots of a sync become runs, or are skipped; the next due time moves on. `from`: how many were settled before. */
export function settle(config: ClaimConfig, state: ClaimState, sync: number, from: number): Settled {
  const { scenario, rules } = config;
  const row = state.syncs[sync]!;
  if (row.isDeleted && rules.settleAsksStatus) return { state, wasDue: true, runs: [], overlapped: [] };
  const own = slotsOf(scenario, sync);
  const isDue = (run: number): boolean => (scenario.slots[run]?.due ?? never) <= state.now;
  const due = own.slice(from).filter((run) => isPlanned(scenario, row, run) && isDue(run));
  const last = due.at(-1);
  if (last === undefined) return { state, wasDue: false, runs: [], overlapped: [] };
  let next = withSync(state, sync, { settled: own.indexOf(last) + 1 });
  const runs: number[] = [];
  for (const run of due) {
    const outcome = outcomeOf(config, next, run);
    const slots = rules.slotIsUnique ? 1 : (next.runs[run]?.slots ?? 0) + 1;
    if (next.runs[run]?.status === 'none') next = withRun(next, run, { status: outcome, slots });
    else next = withRun(next, run, { slots });
    if (outcome === 'queued') runs.push(run);
    if (row.isDeleted) next = withClaimBroken(next, 'a deleted sync has a new slot');
    else if (!scenario.cancelsOther && (outcome === 'skipped') !== isCovered(row, scenario.slots[run]!.due))
      next = withClaimBroken(next, 'a due time is judged by pauses of another time');
  }
  return { wasDue: true, runs, ...overlap(config, next, runs) };
}

function outcomeOf({ scenario, rules }: ClaimConfig, state: ClaimState, run: number): 'queued' | 'skipped' {
  const { sync, due } = scenario.slots[run]!;
  const row = state.syncs[sync]!;
  if (rules.pausesAreIntervals ? isCovered(row, due) : isPaused(row)) return 'skipped';
  const waits = slotsOf(scenario, sync).some((other) => state.runs[other]?.status === 'queued');
  return scenario.cancelsOther && waits ? 'skipped' : 'queued';
}

/** With `cancelsOther` the run at work is to end for the one that was made. */
function overlap(
  { scenario }: ClaimConfig,
  state: ClaimState,
  runs: readonly number[],
): Pick<Settled, 'state' | 'overlapped'> {
  const [made] = runs;
  if (!scenario.cancelsOther || made === undefined) return { state, overlapped: [] };
  const own = slotsOf(scenario, scenario.slots[made]!.sync);
  const overlapped = own.filter((run) => isAtWork(state.runs[run]));
  return { state: cancel(state, overlapped), overlapped };
}

/** Runs at work are to end. */
export const cancel = (state: ClaimState, runs: readonly number[]): ClaimState =>
  runs.reduce((next, run) => withRun(next, run, { status: 'cancelling' }), state);

/** Their workflows hear of it, if they are there. */
export const tell = (state: ClaimState, runs: readonly number[]): ClaimState =>
  runs.reduce(
    (next, run) => (next.runs[run]?.workflow === 'open' ? withRun(next, run, { isTold: true }) : next),
    state,
  );

/** The rows' word on a run that holds a ticket. */
export function judge(
  { scenario, rules }: ClaimConfig,
  state: ClaimState,
  run: number,
): 'start' | 'at_work' | 'gone' | 'deleted' | 'not_due' | 'wait' {
  const row = state.runs[run];
  const { sync, due } = scenario.slots[run]!;
  if (row?.status === 'starting') return 'start';
  if (isAtWork(row)) return rules.rowSaysQueued ? 'at_work' : 'start';
  if (row?.status !== 'queued') return rules.rowSaysQueued ? 'gone' : 'start';
  if (rules.rowSaysThere && state.syncs[sync]?.isDeleted) return 'deleted';
  if (rules.rowSaysDue && due > state.now) return 'not_due';
  if (rules.rowSaysNotPaused && isPaused(state.syncs[sync])) return 'wait';
  const isOther = (other: RunRow, i: number): boolean =>
    i !== run && scenario.slots[i]?.sync === sync && isAtWork(other);
  if (rules.rowSaysAlone && state.runs.some(isOther)) return 'wait';
  return rules.rowSaysFirst && hasEarlier({ scenario }, state, run) ? 'wait' : 'start';
}

/** A run of an earlier due time of the sync waits. */
const hasEarlier = ({ scenario }: Pick<ClaimConfig, 'scenario'>, state: ClaimState, run: number): boolean =>
  state.runs.some(
    (row, i) => i < run && row.status === 'queued' && scenario.slots[i]?.sync === scenario.slots[run]?.sync,
  );

/** The run's row becomes `starting`. */
export function start(config: ClaimConfig, state: ClaimState, run: number): ClaimState {
  const next = withRun(state, run, { status: 'starting' });
  if (state.runs[run]?.status !== 'queued') return next;
  const sync = state.syncs[config.scenario.slots[run]!.sync];
  if (sync?.isDeleted) return withClaimBroken(next, 'a run of a deleted sync starts');
  if (isPaused(sync)) return withClaimBroken(next, 'a run starts during a pause');
  return hasEarlier(config, state, run)
    ? withClaimBroken(next, 'a due time runs before an earlier one')
    : next;
}

/** Starts a run's workflow, or finds that it is there. */
export function launch({ scenario, rules }: ClaimConfig, state: ClaimState, run: number): ClaimState {
  const row = state.runs[run];
  if (!row || (rules.workflowIdFromRun && row.workflow !== 'none')) return state;
  const next = withRun(state, run, { workflow: 'open', starts: row.starts + 1 });
  if ((scenario.slots[run]?.due ?? never) > state.now)
    return withClaimBroken(next, 'a run starts before its due time');
  return row.starts > 0 ? withClaimBroken(next, 'a run is started twice') : next;
}

export const runsWhere = (state: ClaimState, has: (row: RunRow, run: number) => boolean): number[] =>
  state.runs.flatMap((row, run) => (has(row, run) ? [run] : []));

/** Due queued runs that nothing but a place keeps waiting. Those of a deleted sync are among them: admission drops them. */
export const offerable = (config: ClaimConfig, state: ClaimState): number[] =>
  runsWhere(
    state,
    (row, run) => row.status === 'queued' && ['start', 'deleted'].includes(judge(config, state, run)),
  );

/** The engine has lost a run that is at work by its row: its workflow has ended, or was never there. */
export function isGone({ rules }: ClaimConfig, { status, workflow }: RunRow): boolean {
  if (status === 'starting') return rules.closedIsFinal && workflow === 'closed';
  return rules.goneIsFinal && (status === 'running' || status === 'cancelling') && workflow !== 'open';
}
