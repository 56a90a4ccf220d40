/**
 * The world of the claim protocol: the control database's rows, the index in Redis, the engine, and the operations that
 * dispatchers have under way. Every operation goes on with what it has read, however old that has become.
 */
import type { ClaimRules } from './rules.ts';

/** A due time of a sync and the run that it makes. */
export interface SlotPlan {
  readonly sync: number;
  readonly due: number;
}

export const claimFaults = ['crash', 'flush', 'ticketRunsOut', 'leaseRunsOut'] as const;
export type ClaimFault = (typeof claimFaults)[number];

export type OperationKind =
  'tick' | 'admit' | 'places' | 'offer' | 'overdue' | 'stuck' | 'refill' | 'release';

export interface ClaimScenario {
  /** In order of due time; a run is an index into it. */
  readonly slots: readonly SlotPlan[];
  readonly syncs: number;
  readonly cap: number;
  /** Places of all runs that read from one source, and the source of each run; by default nothing bounds them. */
  readonly source?: { readonly cap: number; readonly of: readonly number[] };
  /** How far Redis' clock is ahead of the database's. */
  readonly ahead: number;
  /** Runs that are queued at the beginning, and such as are running. */
  readonly queued: readonly number[];
  readonly running: readonly number[];
  /** Redis is empty at the beginning; otherwise it is as the rows say. */
  readonly isEmpty: boolean;
  /** How many of each may be under way at once; what is not named does not happen. */
  readonly parallel: Readonly<Partial<Record<OperationKind, number>>>;
  /** Whose dispatcher may die under way. */
  readonly mayDie: readonly OperationKind[];
  readonly faults: Readonly<Partial<Record<ClaimFault, number>>>;
}

export interface ClaimConfig {
  readonly scenario: ClaimScenario;
  readonly rules: ClaimRules;
}

export type RunStatus = 'none' | 'queued' | 'starting' | 'running' | 'final';

export interface RunRow {
  readonly status: RunStatus;
  /** Slot rows that point at it. */
  readonly slots: number;
  readonly workflow: 'none' | 'open' | 'closed';
  /** Workflows that were started for it. */
  readonly starts: number;
}

/** When to look at a sync, by Redis' clock; `token` while it is lent. */
export interface DueEntry {
  readonly at: number;
  readonly token: number;
}

export interface Ticket {
  readonly token: number;
  readonly hasRunOut: boolean;
}

export interface Redis {
  readonly marker: '' | 'places' | 'all';
  /** Token of who refills; 0 for nobody. */
  readonly refiller: number;
  readonly due: readonly (DueEntry | null)[];
  readonly places: readonly number[];
  readonly ready: readonly number[];
  /** They wait for a place of their source. */
  readonly parked: readonly number[];
  /** By run. */
  readonly tickets: readonly (Ticket | null)[];
}

/** An operation under way: what it does next, and what it has read so far. */
export interface Operation {
  readonly kind: OperationKind;
  readonly at: string;
  readonly token: number;
  readonly sync: number;
  readonly run: number;
  /** Runs that it has read from the index or the rows. */
  readonly read: readonly number[];
  /** The next due time that it has read; null: none. */
  readonly next: number | null;
}

export interface ClaimState {
  readonly now: number;
  /** Per sync: how many of its slots are settled. */
  readonly settled: readonly number[];
  readonly runs: readonly RunRow[];
  readonly redis: Redis;
  readonly operations: readonly Operation[];
  readonly left: Readonly<Partial<Record<ClaimFault, number>>>;
  /** By how much the cap may be exceeded: the tickets that were in flight when Redis was emptied. */
  readonly slack: number;
  readonly broken: string | null;
}

export const never = 99;

const emptyRedis = ({ syncs, slots }: ClaimScenario): Redis => ({
  marker: '',
  refiller: 0,
  due: Array<null>(syncs).fill(null),
  places: [],
  ready: [],
  parked: [],
  tickets: slots.map(() => null),
});

/** The due time of a sync's next slot that is not settled; null when there is none. */
export function nextDueOf(scenario: ClaimScenario, state: ClaimState, sync: number): number | null {
  return scenario.slots.filter((slot) => slot.sync === sync)[state.settled[sync] ?? 0]?.due ?? null;
}

export function initialClaimState(scenario: ClaimScenario): ClaimState {
  const { slots, queued, running } = scenario;
  const isThere = (run: number): boolean => queued.includes(run) || running.includes(run);
  const rowOf = (run: number): RunRow => {
    if (running.includes(run)) return { status: 'running', slots: 1, workflow: 'open', starts: 1 };
    return {
      status: queued.includes(run) ? 'queued' : 'none',
      slots: isThere(run) ? 1 : 0,
      workflow: 'none',
      starts: 0,
    };
  };
  const state: ClaimState = {
    now: 0,
    settled: Array.from(
      { length: scenario.syncs },
      (_, sync) => slots.filter((slot, run) => slot.sync === sync && isThere(run)).length,
    ),
    runs: slots.map((_, run) => rowOf(run)),
    redis: emptyRedis(scenario),
    operations: [],
    left: scenario.faults,
    slack: 0,
    broken: null,
  };
  if (scenario.isEmpty) return state;
  const due = state.redis.due.map((_, sync) => {
    const at = nextDueOf(scenario, state, sync);
    return at === null ? null : { at: at + scenario.ahead, token: 0 };
  });
  return { ...state, redis: { ...state.redis, marker: 'all', due, places: running, ready: queued } };
}

export const flushed = (scenario: ClaimScenario, state: ClaimState): ClaimState => ({
  ...state,
  redis: emptyRedis(scenario),
  slack: state.slack + state.redis.tickets.filter((ticket) => ticket !== null).length,
});

/** The least number that no ticket, lease or operation carries. */
export function freeToken({ redis, operations }: ClaimState): number {
  const used = new Set([
    redis.refiller,
    ...redis.due.map((entry) => entry?.token ?? 0),
    ...redis.tickets.map((ticket) => ticket?.token ?? 0),
    ...operations.map((operation) => operation.token),
  ]);
  let token = 1;
  while (used.has(token)) token++;
  return token;
}

export const withRedis = (state: ClaimState, change: Partial<Redis>): ClaimState => ({
  ...state,
  redis: { ...state.redis, ...change },
});

export function withRun(state: ClaimState, run: number, change: Partial<RunRow>): ClaimState {
  const row = state.runs[run];
  return row ? { ...state, runs: state.runs.with(run, { ...row, ...change }) } : state;
}

export const withAdded = (list: readonly number[], item: number): readonly number[] =>
  list.includes(item) ? list : [...list, item].toSorted((a, b) => a - b);

export const without = (list: readonly number[], item: number): readonly number[] =>
  list.filter((each) => each !== item);

export const withClaimBroken = (state: ClaimState, message: string): ClaimState =>
  state.broken === null ? { ...state, broken: message } : state;

export const isAtWork = (row: RunRow | undefined): boolean =>
  row?.status === 'starting' || row?.status === 'running';
