/** The claim protocol as a model: operations, the engine's work, time and faults; and what must hold. */
import { explore, Fingerprint } from '../explore.ts';
import type { Exploration, Step } from '../explore.ts';
import { beginSteps, operationSteps } from './operations.ts';
import { claimRulesBut } from './rules.ts';
import type { ClaimRule } from './rules.ts';
import {
  flushed,
  initialClaimState,
  isAtWork,
  nextDueOf,
  withClaimBroken,
  withRedis,
  withRun,
} from './state.ts';
import type { ClaimConfig, ClaimFault, ClaimScenario, ClaimState, Operation } from './state.ts';

/** The workflow of a run begins its work and ends it. */
function engineSteps({ rules }: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return state.runs.flatMap((row, run) => {
    if (row.status === 'starting' && row.workflow === 'open') {
      return [{ label: `run ${run} runs`, next: withRun(state, run, { status: 'running' }) }];
    }
    if (row.status === 'starting' && !rules.stuckIsStarted) {
      const next = withClaimBroken(withRun(state, run, { status: 'final' }), 'a run is final that never ran');
      return [{ label: `run ${run} is unknown to the engine and made final`, next }];
    }
    if (row.status !== 'running') return [];
    const ended = withRun(state, run, { status: 'final', workflow: 'closed' });
    const release: Operation = {
      kind: 'release',
      at: 'release',
      token: 0,
      sync: -1,
      run,
      read: [],
      next: null,
    };
    const next = rules.finalReleases ? { ...ended, operations: [...ended.operations, release] } : ended;
    return [{ label: `run ${run} ends`, next }];
  });
}

/** A second passes, as long as something is still to come. */
function timeSteps({ scenario }: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const last = Math.max(...scenario.slots.map((slot) => slot.due));
  return state.now < last ? [{ label: 'time passes', next: { ...state, now: state.now + 1 } }] : [];
}

function spendClaim(state: ClaimState, fault: ClaimFault): ClaimState | null {
  const left = state.left[fault] ?? 0;
  return left > 0 ? { ...state, left: { ...state.left, [fault]: left - 1 } } : null;
}

function faultSteps({ scenario }: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const steps: Step<ClaimState>[] = [];
  const crash = spendClaim(state, 'crash');
  for (const [i, { kind, at, run, sync }] of state.operations.entries()) {
    if (!crash || !scenario.mayDie.includes(kind)) continue;
    const label = `a dispatcher dies in ${kind}, before ${at} (${run >= 0 ? `run ${run}` : `sync ${sync}`})`;
    steps.push({ label, next: { ...crash, operations: state.operations.toSpliced(i, 1) } });
  }
  const flush = spendClaim(state, 'flush');
  if (flush) steps.push({ label: 'Redis is emptied', next: flushed(scenario, flush) });
  // What nobody holds runs out by itself, sooner or later; what somebody still works under, when that is very slow.
  const isHeld = (token: number): boolean => state.operations.some((each) => each.token === token);
  for (const [run, each] of state.redis.tickets.entries()) {
    const from = each && isHeld(each.token) ? spendClaim(state, 'ticketRunsOut') : state;
    if (!from || !each || each.hasRunOut) continue;
    const next = withRedis(from, { tickets: state.redis.tickets.with(run, { ...each, hasRunOut: true }) });
    steps.push({ label: `the ticket of run ${run} runs out`, next });
  }
  for (const [sync, each] of state.redis.due.entries()) {
    if (!each || each.token === 0 || each.at === 0) continue;
    const from = isHeld(each.token) ? spendClaim(state, 'leaseRunsOut') : state;
    if (!from) continue;
    const next = withRedis(from, { due: state.redis.due.with(sync, { ...each, at: 0 }) });
    steps.push({ label: `the claim of sync ${sync} runs out`, next });
  }
  return steps;
}

/** The first thing that is wrong with a state. */
function violationOf({ scenario }: ClaimConfig, state: ClaimState): string | undefined {
  if (state.broken !== null) return state.broken;
  const atWork = state.runs.filter(isAtWork).length;
  if (atWork > scenario.cap + state.slack) return 'more runs are at work than there are places';
  const { source } = scenario;
  const readers = (of: number): number =>
    state.runs.filter((row, run) => isAtWork(row) && source?.of[run] === of).length;
  if (source?.of.some((each) => readers(each) > source.cap + state.slack))
    return 'more runs read from a source than it may have';
  if (state.redis.parked.some((run) => state.redis.ready.includes(run))) return 'a run waits twice';
  if (state.runs.some((row) => row.slots > 1)) return 'a due time has two slots';
  const syncs = scenario.slots.flatMap(({ sync }, run) => (isAtWork(state.runs[run]) ? [sync] : []));
  if (new Set(syncs).size < syncs.length) return 'two runs of a sync are at work';
  if ([...state.redis.ready, ...state.redis.parked].some((run) => state.redis.places.includes(run)))
    return 'a run that holds a place waits for one';
  const isLate = state.redis.due.some((entry, sync) => {
    const due = nextDueOf(scenario, state, sync);
    return entry !== null && due !== null && entry.token === 0 && entry.at > due + scenario.ahead;
  });
  return isLate ? 'the index looks at a sync later than its rows say' : undefined;
}

/** Every due time has run, and, where the sweep looks after them, no place is held. */
const isAtRest = ({ scenario }: ClaimConfig, { runs, operations, redis }: ClaimState): boolean =>
  runs.every((row) => row.status === 'final') &&
  operations.length === 0 &&
  (redis.places.length === 0 || !scenario.parallel.places);

const addText = (print: Fingerprint, text: string): Fingerprint => {
  for (let i = 0; i < text.length; i++) print.add(text.charCodeAt(i));
  return print;
};

function fingerprintOf({ operations, ...rest }: ClaimState): number {
  const print = addText(new Fingerprint(), JSON.stringify(rest));
  return print
    .addUnordered(operations, (each, operation) => addText(each, JSON.stringify(operation)))
    .value();
}

/** Explores a scenario with some rules off. */
export function exploreClaims(scenario: ClaimScenario, off: readonly ClaimRule[] = []): Exploration {
  const config = { scenario, rules: claimRulesBut(...off) };
  return explore<ClaimState>({
    initial: initialClaimState(scenario),
    steps: (state) => [
      ...operationSteps(config, state),
      ...beginSteps(config, state),
      ...engineSteps(config, state),
      ...timeSteps(config, state),
      ...faultSteps(config, state),
    ],
    fingerprint: fingerprintOf,
    violation: (state) => violationOf(config, state),
    isDone: (state) => isAtRest(config, state),
  });
}
