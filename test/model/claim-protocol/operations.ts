/**
 * The dispatchers' operations, one database statement or one Lua command a step. Between two steps anything may happen;
 * an operation that is dropped between them is a dispatcher that died.
 */
import type { Step } from '../explore.ts';
import { endTicket, freePlaces, hold, offer, publish, stopWaiting, takePlace, unpark } from './index.ts';
import { judge, launch, offerable, runsWhere, settle, start, tell } from './rows.ts';
import { isAtWork, never, nextDueOf, withRedis, withRun } from './state.ts';
import type { ClaimConfig, ClaimState, Operation, OperationKind, Redis } from './state.ts';

/** What a step of an operation leads to: a state, and what the operation does next; null: it has ended. */
type Outcome = readonly [ClaimState, Partial<Operation> | null];

type Steps = Readonly<
  Record<string, (config: ClaimConfig, state: ClaimState, operation: Operation) => Outcome>
>;

/** What the index and the engine hear of a settled or changed sync after the commit. */
const announce: Steps = {
  publish: (config, state, operation) => [
    publish(config, state, operation.sync, operation),
    { at: 'offer', next: null, version: 0 },
  ],
  offer: (config, state, { read, tells }) => [
    offer(config, state, read),
    tells.length > 0 ? { at: 'tell', read: [] } : null,
  ],
  tell: (_, state, { tells }) => [tell(state, tells), null],
};

function settleStep(config: ClaimConfig, state: ClaimState, sync: number, from: number): Outcome {
  const settled = settle(config, state, sync, from);
  const next = nextDueOf(config.scenario, settled.state, sync);
  const version = state.syncs[sync]?.version ?? 0;
  return settled.wasDue
    ? [settled.state, { at: 'publish', read: settled.runs, tells: settled.overlapped, next, version }]
    : [settled.state, { at: 'postpone', next }];
}

const tick: Steps = {
  ...announce,
  settle: (config, state, { sync }) => {
    const { settled } = state.syncs[sync]!;
    return config.rules.settleLocks
      ? settleStep(config, state, sync, settled)
      : [state, { at: 'write', read: [settled] }];
  },
  write: (config, state, { sync, read }) => settleStep(config, state, sync, read[0] ?? 0),
  postpone: ({ scenario }, state, { sync, token, next }) => {
    const { due } = state.redis;
    if (due[sync]?.token !== token) return [state, null];
    const entry = next === null ? null : { at: next + scenario.ahead, token: 0 };
    return [withRedis(state, { due: due.with(sync, entry) }), null];
  },
};

const admit: Steps = {
  place: (_, state, { run, token }) => [takePlace(state, run, token), { at: 'ask' }],
  ask: (config, state, { run, token }) => {
    const isMine = state.redis.tickets[run]?.token === token;
    if (config.rules.slowAskersGiveUp && !isMine && state.slack === 0) return [state, null];
    const verdict = judge(config, state, run);
    if (verdict === 'start') return [start(config, state, run), { at: 'launch' }];
    if (verdict === 'at_work') return [state, { at: 'confirm' }];
    if (verdict === 'not_due')
      return [state, { at: 'return', next: config.scenario.slots[run]?.due ?? never }];
    return [verdict === 'deleted' ? withRun(state, run, { status: 'final' }) : state, { at: 'return' }];
  },
  launch: (config, state, { run }) => [launch(config, state, run), { at: 'confirm' }],
  confirm: (config, state, operation) => [endTicket(config, state, operation, 'holds'), null],
  return: (config, state, operation) => [endTicket(config, state, operation, operation.next), null],
};

const ticketless = ({ places, tickets }: Redis): number[] => places.filter((run) => !tickets[run]);

const places: Steps = {
  fetch: ({ rules }, state) => [
    state,
    { at: 'holders', held: rules.sweepSparesTickets ? ticketless(state.redis) : state.redis.places },
  ],
  holders: (_, state) => [state, { at: 'hold', read: runsWhere(state, isAtWork) }],
  hold: (config, state, { read }) => [
    config.rules.sweepHolds ? hold(config, state, read) : state,
    { at: 'compare', read: [] },
  ],
  compare: (_, state, { held }) => [
    state,
    { at: 'free', read: held.filter((run) => !isAtWork(state.runs[run])), held: [] },
  ],
  free: (config, state, { read }) => {
    const { rules } = config;
    const isSpared = (run: number): boolean => rules.sweepSparesTickets && state.redis.tickets[run] !== null;
    const freed = read.filter((run) => !isSpared(run));
    return [
      rules.sweepFrees ? freePlaces(config, state, freed) : state,
      config.scenario.source ? { at: 'unpark', read: [] } : null,
    ];
  },
  unpark: (config, state) => [config.rules.sweepUnparks ? unpark(config, state) : state, null],
};

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
  hold: (config, state, { read }) => [hold(config, state, read), { at: 'markPlaces', read: [] }],
  markPlaces: (config, state, operation) => {
    const next = advance(config, state, operation, 'places');
    return next ? [next, { at: 'waiting' }] : [state, null];
  },
  waiting: (config, state) => [state, { at: 'offer', read: offerable(config, state) }],
  offer: (config, state, { read }) => [offer(config, state, read), { at: 'due', read: [] }],
  due: ({ scenario }, state) => [
    state,
    { at: 'publish', read: state.syncs.map((_, sync) => nextDueOf(scenario, state, sync) ?? never) },
  ],
  publish: (config, state, { read }) => {
    const publishOne = (next: ClaimState, due: number, sync: number): ClaimState =>
      due === never ? next : publish(config, next, sync, { next: due, version: state.syncs[sync]!.version });
    return [read.reduce(publishOne, state), { at: 'markAll', read: [] }];
  },
  markAll: (config, state, operation) => [advance(config, state, operation, 'all') ?? state, null],
};

/** Forgets a run that is final. */
const release: Steps = {
  release: (config, state, { run }) => {
    const next = withRedis(stopWaiting(state, [run]), { tickets: state.redis.tickets.with(run, null) });
    return [freePlaces(config, next, [run]), null];
  },
};

const programs: Readonly<Record<OperationKind, Steps>> = {
  tick,
  admit,
  places,
  refill,
  release,
  overdue: announce,
  change: announce,
  offer: { offer: (config, state, { read }) => [offer(config, state, read), null] },
  stuck: { launch: (config, state, { run }) => [launch(config, state, run), null] },
  reconcile: {
    ...release,
    close: (_, state, { run }) =>
      isAtWork(state.runs[run])
        ? [withRun(state, run, { status: 'final' }), { at: 'release' }]
        : [state, null],
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
