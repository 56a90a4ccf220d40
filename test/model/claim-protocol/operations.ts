/**
 * The dispatchers' operations, one database statement or one Lua command a step. Between two steps anything may happen;
 * an operation that is dropped between them is a dispatcher that died.
 */
import type { Step } from '../explore.ts';
import {
  freeToken,
  isAtWork,
  never,
  nextDueOf,
  without,
  withAdded,
  withClaimBroken,
  withRedis,
  withRun,
} from './state.ts';
import type {
  ClaimConfig,
  ClaimScenario,
  ClaimState,
  Operation,
  OperationKind,
  Redis,
  RunRow,
} from './state.ts';

const idle: Omit<Operation, 'kind' | 'at'> = { token: 0, sync: -1, run: -1, read: [], next: null };

/** What a step of an operation leads to: a state, and what the operation does next; null: it has ended. */
type Outcome = readonly [ClaimState, Partial<Operation> | null];

/** Publishes a sync's next due time. */
function publish(
  { scenario }: ClaimConfig,
  state: ClaimState,
  sync: number,
  next: number | null,
): ClaimState {
  const entry = next === null ? null : { at: next + scenario.ahead, token: 0 };
  return withRedis(state, { due: state.redis.due.with(sync, entry) });
}

/** Offers runs to the waiting order. */
function offer({ rules }: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  let { ready } = state.redis;
  for (const run of runs) {
    if (rules.offerSkipsHolders && state.redis.places.includes(run)) continue;
    if (rules.offerKeepsParked && state.redis.parked.includes(run)) continue;
    ready = withAdded(ready, run);
  }
  return withRedis(state, { ready });
}

/** How many more runs may read from the source of this one. */
function roomOf({ source }: ClaimScenario, { places }: Redis, run: number): number {
  if (!source) return never;
  return source.cap - places.filter((other) => source.of[other] === source.of[run]).length;
}

/** Parked runs that have room are let go, the least first. */
function unpark({ scenario }: ClaimConfig, state: ClaimState): ClaimState {
  const isNext = (run: number): boolean => {
    const rivals = state.redis.parked.filter(
      (other) => scenario.source?.of[other] === scenario.source?.of[run],
    );
    return rivals.indexOf(run) < roomOf(scenario, state.redis, run);
  };
  const gone = state.redis.parked.filter(isNext);
  return withRedis(state, {
    parked: state.redis.parked.filter((run) => !gone.includes(run)),
    ready: gone.reduce(withAdded, state.redis.ready),
  });
}

/** Places are given back; whoever waited for them goes on. */
function freePlaces(config: ClaimConfig, state: ClaimState, runs: readonly number[]): ClaimState {
  const next = withRedis(state, { places: state.redis.places.filter((run) => !runs.includes(run)) });
  return config.rules.freeUnparks ? unpark(config, next) : next;
}

/** Due slots of a sync become runs; the next due time moves on. Returns the runs. */
function settle(config: ClaimConfig, state: ClaimState, sync: number, from: number): [ClaimState, number[]] {
  const { scenario, rules } = config;
  const own = scenario.slots.flatMap((slot, run) => (slot.sync === sync ? [run] : []));
  const due = own.slice(from).filter((run) => (scenario.slots[run]?.due ?? never) <= state.now);
  let next = state;
  for (const run of due) {
    const row = next.runs[run];
    if (row?.status === 'none') next = withRun(next, run, { status: 'queued', slots: 1 });
    else if (row && !rules.slotIsUnique) next = withRun(next, run, { slots: row.slots + 1 });
  }
  return [{ ...next, settled: next.settled.with(sync, from + due.length) }, due];
}

/** The rows' word on a run that holds a ticket. */
function judge(
  { scenario, rules }: ClaimConfig,
  state: ClaimState,
  run: number,
): 'start' | 'at_work' | 'gone' | 'wait' {
  const row = state.runs[run];
  const sync = scenario.slots[run]?.sync;
  if (row?.status === 'starting') return 'start';
  if (row?.status === 'running') return rules.rowSaysQueued ? 'at_work' : 'start';
  if (row?.status !== 'queued') return rules.rowSaysQueued ? 'gone' : 'start';
  if (rules.rowSaysDue && (scenario.slots[run]?.due ?? never) > state.now) return 'wait';
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

/** Starts a run's workflow, or finds that it is there. */
function launch({ scenario, rules }: ClaimConfig, state: ClaimState, run: number): ClaimState {
  const row = state.runs[run];
  if (!row || (rules.workflowIdFromRun && row.workflow !== 'none')) return state;
  const next = withRun(state, run, { workflow: 'open', starts: row.starts + 1 });
  if ((scenario.slots[run]?.due ?? never) > state.now)
    return withClaimBroken(next, 'a run starts before its due time');
  return row.starts > 0 ? withClaimBroken(next, 'a run is started twice') : next;
}

/** Ends a ticket, with or without its place. */
function endTicket(
  config: ClaimConfig,
  state: ClaimState,
  operation: Operation,
  freesPlace: boolean,
): ClaimState {
  const { run, token } = operation;
  const ticket = state.redis.tickets[run];
  if (config.rules.answersCarryToken && ticket?.token !== token) return state;
  const tickets = state.redis.tickets.with(run, null);
  if (!freesPlace) return withRedis(state, { tickets });
  const next = freePlaces(config, withRedis(state, { tickets }), [run]);
  const isWrong = isAtWork(state.runs[run]) && state.redis.places.includes(run);
  return isWrong ? withClaimBroken(next, 'a refusal frees the place of a run at work') : next;
}

const runsWhere = (state: ClaimState, has: (row: RunRow, run: number) => boolean): number[] =>
  state.runs.flatMap((row, run) => (has(row, run) ? [run] : []));

/** Due queued runs that no other run of their sync keeps waiting. */
const offerable = (config: ClaimConfig, state: ClaimState): number[] =>
  runsWhere(state, (row, run) => row.status === 'queued' && judge(config, state, run) === 'start');

const ticketless = ({ places, tickets }: Redis): number[] => places.filter((run) => !tickets[run]);

type Steps = Readonly<
  Record<string, (config: ClaimConfig, state: ClaimState, operation: Operation) => Outcome>
>;

const tick: Steps = {
  settle: (config, state, { sync }) => {
    if (!config.rules.settleLocks) return [state, { at: 'write', read: [state.settled[sync] ?? 0] }];
    const [next, runs] = settle(config, state, sync, state.settled[sync] ?? 0);
    const due = nextDueOf(config.scenario, next, sync);
    return [next, runs.length > 0 ? { at: 'publish', read: runs, next: due } : { at: 'postpone', next: due }];
  },
  write: (config, state, { sync, read }) => {
    const [next, runs] = settle(config, state, sync, read[0] ?? 0);
    return [next, { at: 'publish', read: runs, next: nextDueOf(config.scenario, next, sync) }];
  },
  publish: (config, state, { sync, next }) => [
    publish(config, state, sync, next),
    { at: 'offer', next: null },
  ],
  offer: (config, state, { read }) => [offer(config, state, read), null],
  postpone: (config, state, { sync, token, next }) => [
    state.redis.due[sync]?.token === token ? publish(config, state, sync, next) : state,
    null,
  ],
};

const admit: Steps = {
  place: (_, state, { run, token }) => [takePlace(state, run, token), { at: 'ask' }],
  ask: (config, state, { run, token }) => {
    const isMine = state.redis.tickets[run]?.token === token;
    if (config.rules.slowAskersGiveUp && !isMine && state.slack === 0) return [state, null];
    const verdict = judge(config, state, run);
    if (verdict === 'start') {
      const next = withRun(state, run, { status: 'starting' });
      const isOvertaking = state.runs[run]?.status === 'queued' && hasEarlier(config, state, run);
      return [
        isOvertaking ? withClaimBroken(next, 'a due time runs before an earlier one') : next,
        { at: 'launch' },
      ];
    }
    return [state, { at: verdict === 'at_work' ? 'confirm' : 'return' }];
  },
  launch: (config, state, { run }) => [launch(config, state, run), { at: 'confirm' }],
  confirm: (config, state, operation) => [endTicket(config, state, operation, false), null],
  return: (config, state, operation) => [endTicket(config, state, operation, true), null],
};

function takePlace(state: ClaimState, run: number, token: number): ClaimState {
  const { places, tickets } = state.redis;
  return withRedis(state, {
    places: withAdded(places, run),
    tickets: tickets.with(run, { token, hasRunOut: false }),
  });
}

const places: Steps = {
  fetch: ({ rules }, state) => [
    state,
    { at: 'compare', read: rules.sweepSparesTickets ? ticketless(state.redis) : state.redis.places },
  ],
  compare: (_, state, { read }) => [
    state,
    { at: 'free', read: read.filter((run) => !isAtWork(state.runs[run])) },
  ],
  free: (config, state, { read }) => {
    const { rules } = config;
    const isSpared = (run: number): boolean => rules.sweepSparesTickets && state.redis.tickets[run] !== null;
    const freed = read.filter((run) => !isSpared(run));
    return [rules.sweepFrees ? freePlaces(config, state, freed) : state, { at: 'holders', read: [] }];
  },
  holders: (_, state) => [state, { at: 'hold', read: runsWhere(state, isAtWork) }],
  hold: ({ rules, scenario }, state, { read }) => [
    rules.sweepHolds ? hold(state, read) : state,
    scenario.source ? { at: 'unpark', read: [] } : null,
  ],
  unpark: (config, state) => [config.rules.sweepUnparks ? unpark(config, state) : state, null],
};

/** Writes places, whatever the cap. */
function hold(state: ClaimState, runs: readonly number[]): ClaimState {
  const held = runs.reduce(withAdded, state.redis.places);
  const others = (waiting: readonly number[]) => waiting.filter((run) => !runs.includes(run));
  return withRedis(state, {
    places: held,
    ready: others(state.redis.ready),
    parked: others(state.redis.parked),
  });
}

const advance = (
  config: ClaimConfig,
  state: ClaimState,
  operation: Operation,
  marker: Redis['marker'],
): ClaimState | null => {
  if (config.rules.refillKeepsToken && state.redis.refiller !== operation.token) return null;
  return withRedis(state, { marker, ...(marker === 'all' && { refiller: 0 }) });
};

const refill: Steps = {
  holders: (_, state) => [state, { at: 'hold', read: runsWhere(state, isAtWork) }],
  hold: (_, state, { read }) => [hold(state, read), { at: 'markPlaces', read: [] }],
  markPlaces: (config, state, operation) => {
    const next = advance(config, state, operation, 'places');
    return next ? [next, { at: 'waiting' }] : [state, null];
  },
  waiting: (config, state) => [state, { at: 'offer', read: offerable(config, state) }],
  offer: (config, state, { read }) => [offer(config, state, read), { at: 'due', read: [] }],
  due: ({ scenario }, state) => [
    state,
    { at: 'publish', read: state.settled.map((_, sync) => nextDueOf(scenario, state, sync) ?? never) },
  ],
  publish: (config, state, { read }) => {
    const publishOne = (next: ClaimState, due: number, sync: number): ClaimState =>
      due === never ? next : publish(config, next, sync, due);
    return [read.reduce(publishOne, state), { at: 'markAll', read: [] }];
  },
  markAll: (config, state, operation) => [advance(config, state, operation, 'all') ?? state, null],
};

const programs: Readonly<Record<OperationKind, Steps>> = {
  tick,
  admit,
  places,
  refill,
  offer: { offer: (config, state, { read }) => [offer(config, state, read), null] },
  overdue: {
    publish: (config, state, { sync, next }) => [
      publish(config, state, sync, next),
      { at: 'offer', next: null },
    ],
    offer: tick['offer']!,
  },
  stuck: { launch: (config, state, { run }) => [launch(config, state, run), null] },
  release: {
    release: (config, state, { run }) => {
      const { ready, parked, tickets } = state.redis;
      const next = withRedis(state, {
        ready: without(ready, run),
        parked: without(parked, run),
        tickets: tickets.with(run, null),
      });
      return [freePlaces(config, next, [run]), null];
    },
  },
};

/** The next step of every operation under way. */
export function operationSteps(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  return state.operations.map((operation, i) => {
    const step = programs[operation.kind][operation.at];
    if (!step) throw new Error(`an operation without a step: ${operation.kind} ${operation.at}`);
    const others = { ...state, operations: state.operations.toSpliced(i, 1) };
    const [next, change] = step(config, others, operation);
    const operations = change ? [...next.operations, { ...operation, ...change }] : next.operations;
    return {
      label: `${operation.kind} ${describe(operation)}: ${operation.at}`,
      next: { ...next, operations },
    };
  });
}

const describe = ({ sync, run, token }: Operation): string =>
  [sync >= 0 ? `of sync ${sync}` : '', run >= 0 ? `of run ${run}` : '', token > 0 ? `(${token})` : '']
    .filter((part) => part !== '')
    .join(' ');

/** New operations that may begin now, with their first step. */
export function beginSteps(config: ClaimConfig, state: ClaimState): Step<ClaimState>[] {
  const { scenario } = config;
  const isFree = (kind: OperationKind): boolean =>
    state.operations.filter((each) => each.kind === kind).length < (scenario.parallel[kind] ?? 0);
  const add = (
    next: ClaimState,
    operation: Partial<Operation> & Pick<Operation, 'kind' | 'at'>,
  ): ClaimState => ({
    ...next,
    operations: [...next.operations, { ...idle, ...operation }],
  });
  const steps: Step<ClaimState>[] = [];
  if (isFree('tick')) steps.push(...claims(config, state, add));
  if (isFree('admit')) steps.push(...admissions(config, state, add));
  if (isFree('places'))
    steps.push({ label: 'sweep: places', next: add(state, { kind: 'places', at: 'fetch' }) });
  const waiting = offerable(config, state).filter((run) => !state.redis.ready.includes(run));
  if (isFree('offer') && config.rules.sweepOffers && waiting.length > 0) {
    steps.push({
      label: 'sweep: reads waiting runs',
      next: add(state, { kind: 'offer', at: 'offer', read: waiting }),
    });
  }
  if (isFree('overdue') && config.rules.sweepSettles) steps.push(...overdue(config, state, add));
  if (isFree('stuck') && config.rules.sweepStarts) {
    for (const run of runsWhere(state, (row) => row.status === 'starting')) {
      steps.push({
        label: `sweep: reads that run ${run} is starting`,
        next: add(state, { kind: 'stuck', at: 'launch', run }),
      });
    }
  }
  if (isFree('refill') && state.redis.marker !== 'all' && state.redis.refiller === 0) {
    const token = freeToken(state);
    const at = config.rules.refillPlacesFirst ? 'holders' : 'markPlaces';
    steps.push({
      label: `refill begins (${token})`,
      next: add(withRedis(state, { refiller: token }), { kind: 'refill', at, token }),
    });
  }
  return steps;
}

type Add = (next: ClaimState, operation: Partial<Operation> & Pick<Operation, 'kind' | 'at'>) => ClaimState;

function claims({ scenario, rules }: ClaimConfig, state: ClaimState, add: Add): Step<ClaimState>[] {
  return state.redis.due.flatMap((entry, sync) => {
    if (!entry || entry.at > state.now + scenario.ahead * 2) return [];
    const token = freeToken(state);
    const lent = rules.claimMoves ? { at: never, token } : null;
    const next = withRedis(state, { due: state.redis.due.with(sync, lent) });
    return [
      {
        label: `sync ${sync} is claimed (${token})`,
        next: add(next, { kind: 'tick', at: 'settle', sync, token }),
      },
    ];
  });
}

function admissions({ scenario, rules }: ClaimConfig, state: ClaimState, add: Add): Step<ClaimState>[] {
  const { redis } = state;
  if (rules.admitWaitsForPlaces && redis.marker === '') return [];
  const token = freeToken(state);
  const steps = redis.tickets.flatMap((ticket, run) => {
    if (!ticket?.hasRunOut || !rules.ticketsRunOut) return [];
    const next = withRedis(state, { tickets: redis.tickets.with(run, { token, hasRunOut: false }) });
    return [
      {
        label: `the ticket of run ${run} is handed on (${token})`,
        next: add(next, { kind: 'admit', at: 'ask', run, token }),
      },
    ];
  });
  if (redis.places.length >= scenario.cap) return steps;
  for (const run of redis.ready) {
    const left = withRedis(state, { ready: without(redis.ready, run) });
    if (rules.admitKeepsCaps && roomOf(scenario, redis, run) <= 0) {
      const parked = withAdded(redis.parked, run);
      steps.push({ label: `run ${run} is parked`, next: withRedis(left, { parked }) });
      continue;
    }
    const next = rules.admitTakesPlace ? takePlace(left, run, token) : left;
    const at = rules.admitTakesPlace ? 'ask' : 'place';
    steps.push({
      label: `run ${run} is admitted (${token})`,
      next: add(next, { kind: 'admit', at, run, token }),
    });
  }
  return steps;
}

function overdue(config: ClaimConfig, state: ClaimState, add: Add): Step<ClaimState>[] {
  return state.settled.flatMap((from, sync) => {
    const due = nextDueOf(config.scenario, state, sync);
    if (due === null || due > state.now) return [];
    const [next, runs] = settle(config, state, sync, from);
    const rest = { sync, read: runs, next: nextDueOf(config.scenario, next, sync) };
    return [
      { label: `sweep: settles sync ${sync}`, next: add(next, { kind: 'overdue', at: 'publish', ...rest }) },
    ];
  });
}
