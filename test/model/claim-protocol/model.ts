/** The claim protocol as a model: operations, the engine's work, time and faults; and what must hold. */
import { explore, Fingerprint } from '../explore.ts';
import type { Exploration, Step } from '../explore.ts';
import { beginSteps } from './beginnings.ts';
import { changeSteps } from './changes.ts';
import { operationSteps } from './operations.ts';
import { claimRulesBut } from './rules.ts';
import type { ClaimRule } from './rules.ts';
import {
  begun,
  flushed,
  initialClaimState,
  isAtWork,
  nextDueOf,
  restored,
  slotsOf,
  withClaimBroken,
  withRedis,
  withRun,
} from './state.ts';
import type { ClaimConfig, ClaimFault, ClaimScenario, ClaimState } from './state.ts';

/** The workflow of a run begins its work and ends it. */
function engineSteps(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { rules } = config;
  return state.runs.flatMap((row, run) => {
    if (row.status === 'starting' && row.workflow === 'open') {
      return [{ label: `run ${run} runs`, next: withRun(state, run, { status: 'running' }) }];
    }
    if (row.status === 'starting' && !rules.stuckIsStarted) {
      const next = withClaimBroken(withRun(state, run, { status: 'final' }), 'a run is final that never ran');
      return [{ label: `run ${run} is unknown to the engine and made final`, next }];
    }
    if (row.workflow !== 'open' || !mayEnd(config, state, run)) return [];
    const ended = withRun(state, run, { status: 'final', workflow: 'closed' });
    const release = begun({ kind: 'release', at: 'release', run });
    const next = rules.finalReleases ? { ...ended, operations: [...ended.operations, release] } : ended;
    return [{ label: `run ${run} ends`, next }];
  });
}

/** Whether the workflow may come to its end: cancelled ones when they have heard it. */
function mayEnd({ scenario }: ClaimConfig, { runs }: ClaimState, run: number): boolean {
  const row = runs[run];
  if (row?.status === 'cancelling') return row.isTold;
  const isEndless =
    scenario.cancelsOther &&
    slotsOf(scenario, scenario.slots[run]!.sync).some(
      (other) => other > run && runs[other]?.status !== 'skipped',
    );
  return row?.status === 'running' && !isEndless;
}

/** A second passes, as long as something is still to come. */
function timeSteps({ scenario }: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { later, opens } = state.redis;
  const last = Math.max(
    ...scenario.slots.map((slot) => slot.due),
    ...[...later, ...opens].map((at) => at ?? 0),
  );
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
  const keep = spendClaim(state, 'keep');
  if (keep) steps.push({ label: 'Redis is copied', next: { ...keep, kept: state.redis } });
  const restore = state.kept && spendClaim(state, 'restore');
  if (restore) steps.push({ label: 'Redis is what its copy was', next: restored(restore) });
  const terminate = spendClaim(state, 'terminate');
  for (const [run, { workflow }] of state.runs.entries())
    if (terminate && workflow === 'open')
      steps.push({
        label: `workflow ${run} is terminated`,
        next: withRun(terminate, run, { workflow: 'closed' }),
      });
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
  const { redis, runs, slack } = state;
  const atWork = runs.flatMap((row, run) => (isAtWork(row) ? [run] : []));
  const isOver = ({ cap, of }: { cap: number; of: readonly number[] }): boolean =>
    atWork.some((run) => atWork.filter((other) => of[other] === of[run]).length > cap + slack);
  if (atWork.length > scenario.cap + slack) return 'more runs are at work than there are places';
  if (scenario.source && isOver(scenario.source)) return 'more runs read from a source than it may have';
  if (scenario.tenant && isOver(scenario.tenant)) return 'more runs of a tenant are at work than it may have';
  const waiting = [
    ...redis.ready,
    ...redis.parked,
    ...redis.later.flatMap((at, run) => (at === null ? [] : [run])),
  ];
  if (new Set(waiting).size < waiting.length) return 'a run waits twice';
  if (waiting.some((run) => redis.places.includes(run))) return 'a run that holds a place waits for one';
  if (runs.some((row) => row.slots > 1)) return 'a due time has two slots';
  const syncs = atWork.map((run) => scenario.slots[run]?.sync);
  if (new Set(syncs).size < syncs.length) return 'two runs of a sync are at work';
  const isLate = redis.due.some((entry, sync) => {
    const due = nextDueOf(scenario, state, sync);
    const isSettledWith = entry !== null && due !== null && entry.token === 0 && !state.unheard[sync];
    return isSettledWith && entry.at > due + scenario.ahead;
  });
  return isLate ? 'the index looks at a sync later than its rows say' : undefined;
}

/** Every due time has its end (its run, where nobody admits), and no place is held where the sweep looks after them. */
const isAtRest = ({ scenario }: ClaimConfig, { runs, operations, redis }: ClaimState): boolean =>
  runs.every(
    ({ status }) =>
      ['final', 'skipped', 'void'].includes(status) || (status === 'queued' && !scenario.parallel.admit),
  ) &&
  operations.length === 0 &&
  (redis.places.length === 0 || !scenario.parallel.places);

const addText = (print: Fingerprint, text: string): Fingerprint => {
  for (let i = 0; i < text.length; i++) print.add(text.charCodeAt(i));
  return print;
};

/** Parts are never changed and pass from state to state, so each is read once. */
const partPrints = new WeakMap<object, number>();

function addPart(print: Fingerprint, part: object): Fingerprint {
  let value = partPrints.get(part);
  if (value === undefined) {
    value = addText(new Fingerprint(), JSON.stringify(part)).value();
    partPrints.set(part, value);
  }
  return print.add(value % 4294967296).add(Math.floor(value / 4294967296));
}

function fingerprintOf({ operations, now, slack, broken, kept, ...parts }: ClaimState): number {
  const print = addText(new Fingerprint().add(now).add(slack), broken ?? '');
  for (const part of Object.values(parts)) addPart(print, part);
  return addPart(print, kept ?? noCopy)
    .addUnordered(operations, addPart)
    .value();
}
const noCopy = {};

/** Explores a scenario with some rules off. */
export function exploreClaims(scenario: ClaimScenario, off: readonly ClaimRule[] = []): Exploration {
  const config = { scenario, rules: claimRulesBut(...off) };
  return explore<ClaimState>({
    initial: initialClaimState(scenario),
    steps: (state) => [
      ...operationSteps(config, state),
      ...beginSteps(config, state),
      ...changeSteps(config, state),
      ...engineSteps(config, state),
      ...timeSteps(config, state),
      ...faultSteps(config, state),
    ],
    fingerprint: fingerprintOf,
    violation: (state) => violationOf(config, state),
    isDone: (state) => isAtRest(config, state),
  });
}
