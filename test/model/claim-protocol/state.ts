/**
 * The world of the claim protocol: the control database's rows, the index in Redis, the engine, and the operations that
 * dispatchers have under way. Every operation goes on with what it has read, however old that has become.
 */
import type { ClaimRules } from './rules.ts';

/** A due time of a sync and the run that it makes. */
export interface SlotPlan {
  readonly sync: number;
  readonly due: number;
  /** Whether the sync has it only once it is edited; the others it then has no longer. */
  readonly isOfEdit?: boolean;
}

/**
 * What may happen so many times at any step. `keep` and `restore`: Redis becomes what it was, as after a failover to a
 * server that lags; `terminate`: somebody ends a workflow behind our back.
 */
export type ClaimFault =
  'crash' | 'flush' | 'keep' | 'restore' | 'terminate' | 'ticketRunsOut' | 'leaseRunsOut';
/** What users do to a sync, so many times, at any step. */
export type ClaimChange = 'edit' | 'pause' | 'resume' | 'delete';

export type OperationKind =
  'tick' | 'admit' | 'places' | 'offer' | 'overdue' | 'stuck' | 'reconcile' | 'refill' | 'release' | 'change';

export interface ClaimScenario {
  /** In order of due time; a run is an index into it. */
  readonly slots: readonly SlotPlan[];
  readonly syncs: number;
  readonly cap: number;
  /**
   * Places of all runs that read from one source, the source of each run, and the least time between two starts; by
   * default nothing bounds them.
   */
  readonly source?: { readonly cap: number; readonly of: readonly number[]; readonly gap?: number };
  /** The same of tenants. */
  readonly tenant?: { readonly cap: number; readonly of: readonly number[] };
  /** A due time cancels the run at work; such runs end in no other way. */
  readonly cancelsOther?: boolean;
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
  readonly faults: Readonly<Partial<Record<ClaimFault | ClaimChange, number>>>;
}

export interface ClaimConfig {
  readonly scenario: ClaimScenario;
  readonly rules: ClaimRules;
}

/** `none`: its due time has no slot yet; `skipped`: the slot has no run; `void`: an edit or the end of the sync took it. */
export type RunStatus =
  'none' | 'queued' | 'starting' | 'running' | 'cancelling' | 'final' | 'skipped' | 'void';

export interface RunRow {
  readonly status: RunStatus;
  /** Slot rows that point at it. */
  readonly slots: number;
  readonly workflow: 'none' | 'open' | 'closed';
  /** Workflows that were started for it. */
  readonly starts: number;
  /** Its workflow knows that it is to end. */
  readonly isTold: boolean;
}

/** A sync's row. */
export interface SyncRow {
  /** How many of its slots are settled. */
  readonly settled: number;
  readonly version: number;
  readonly isDeleted: boolean;
  /** Covers the due times after `from`, up to and with `until`; null: until it is resumed. */
  readonly pauses: readonly { readonly from: number; readonly until: number | null }[];
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
  /** They wait for a place of their source, or until it may start another. */
  readonly parked: readonly number[];
  /** By run: until when it waits for a time. */
  readonly later: readonly (number | null)[];
  /** By source: until when its parked runs wait, and before when no other run of it starts. */
  readonly opens: readonly (number | null)[];
  readonly starts: readonly number[];
  /** Tenants that admission looks at. */
  readonly tenants: readonly number[];
  /** By sync: the newest that was published. */
  readonly versions: readonly number[];
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
  /** The places that the sweep has found in the index. */
  readonly held: readonly number[];
  /** The next due time that it has read; null: none. */
  readonly next: number | null;
  /** Of the sync's row that it has read. */
  readonly version: number;
  /** Runs whose workflows are to hear that they are to end. */
  readonly tells: readonly number[];
}

/** An operation that begins, with what it has read. */
export const begun = (operation: Partial<Operation> & Pick<Operation, 'kind' | 'at'>): Operation => ({
  token: 0,
  sync: -1,
  run: -1,
  read: [],
  held: [],
  next: null,
  version: 0,
  tells: [],
  ...operation,
});

export interface ClaimState {
  readonly now: number;
  readonly syncs: readonly SyncRow[];
  readonly runs: readonly RunRow[];
  readonly redis: Redis;
  readonly operations: readonly Operation[];
  readonly left: ClaimScenario['faults'];
  /** By sync: the index was older than its row, and has not been told. */
  readonly unheard: readonly boolean[];
  /** By source: when the latest of its runs was admitted. */
  readonly admitted: readonly (number | null)[];
  /** Redis as it was, for a failover. */
  readonly kept: Redis | null;
  /** By how much the cap may be exceeded: the tickets that were in flight when Redis was emptied. */
  readonly slack: number;
  readonly broken: string | null;
}

export const never = 99;

const sourceCount = ({ source }: ClaimScenario): number => (source ? Math.max(...source.of) + 1 : 0);
export const tenantOf = ({ tenant }: ClaimScenario, run: number): number => tenant?.of[run] ?? 0;

const emptyRedis = (scenario: ClaimScenario): Redis => ({
  marker: '',
  refiller: 0,
  due: Array<null>(scenario.syncs).fill(null),
  places: [],
  ready: [],
  parked: [],
  later: scenario.slots.map(() => null),
  opens: Array<null>(sourceCount(scenario)).fill(null),
  starts: Array<number>(sourceCount(scenario)).fill(0),
  tenants: [],
  versions: Array<number>(scenario.syncs).fill(0),
  tickets: scenario.slots.map(() => null),
});

/** The runs that a sync's slots make, in order; those that its spec does not have (any more, or yet) among them. */
export const slotsOf = ({ slots }: ClaimScenario, sync: number): number[] =>
  slots.flatMap((slot, run) => (slot.sync === sync ? [run] : []));

/** Whether the sync's spec has this slot. */
export const isPlanned = ({ slots }: ClaimScenario, { version }: SyncRow, run: number): boolean =>
  (slots[run]?.isOfEdit ?? false) === version > 1;

/** The due time of a sync's next slot that is not settled; null when there is none. */
export function nextDueOf(scenario: ClaimScenario, { syncs }: ClaimState, sync: number): number | null {
  const row = syncs[sync];
  if (!row || row.isDeleted) return null;
  const next = slotsOf(scenario, sync)
    .slice(row.settled)
    .find((run) => isPlanned(scenario, row, run));
  return next === undefined ? null : (scenario.slots[next]?.due ?? null);
}

export function initialClaimState(scenario: ClaimScenario): ClaimState {
  const { slots, queued, running } = scenario;
  const isThere = (run: number): boolean => queued.includes(run) || running.includes(run);
  const rowOf = (run: number): RunRow => {
    if (running.includes(run))
      return { status: 'running', slots: 1, workflow: 'open', starts: 1, isTold: false };
    return {
      status: queued.includes(run) ? 'queued' : 'none',
      slots: isThere(run) ? 1 : 0,
      workflow: 'none',
      starts: 0,
      isTold: false,
    };
  };
  const state: ClaimState = {
    now: 0,
    syncs: Array.from({ length: scenario.syncs }, (_, sync) => ({
      settled: slotsOf(scenario, sync).filter(isThere).length,
      version: 1,
      isDeleted: false,
      pauses: [],
    })),
    runs: slots.map((_, run) => rowOf(run)),
    redis: emptyRedis(scenario),
    operations: [],
    left: scenario.faults,
    unheard: Array<boolean>(scenario.syncs).fill(false),
    admitted: Array<null>(sourceCount(scenario)).fill(null),
    kept: null,
    slack: 0,
    broken: null,
  };
  if (scenario.isEmpty) return state;
  const due = state.redis.due.map((_, sync) => {
    const at = nextDueOf(scenario, state, sync);
    return at === null ? null : { at: at + scenario.ahead, token: 0 };
  });
  const tenants = queued.map((run) => tenantOf(scenario, run)).reduce<readonly number[]>(withAdded, []);
  const versions = state.syncs.map(() => 1);
  return {
    ...state,
    redis: { ...state.redis, marker: 'all', due, places: running, ready: queued, tenants, versions },
  };
}

/** Redis loses what it knew: all of it, or what it has learned since an earlier state. */
function withLost(state: ClaimState, redis: Redis): ClaimState {
  const isAhead = (run: number): boolean =>
    state.redis.tickets[run] !== null || (isAtWork(state.runs[run]) && !redis.places.includes(run));
  return {
    ...state,
    redis,
    unheard: state.unheard.map(() => true),
    admitted: state.admitted.map(() => null),
    slack: state.slack + state.runs.filter((_, run) => isAhead(run)).length,
  };
}

export const flushed = (scenario: ClaimScenario, state: ClaimState): ClaimState => ({
  ...withLost(state, emptyRedis(scenario)),
  slack: state.slack + state.redis.tickets.filter((ticket) => ticket !== null).length,
});

/** Redis is what was kept of it. */
export const restored = (state: ClaimState): ClaimState =>
  state.kept ? { ...withLost(state, state.kept), kept: null } : state;

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

export const withSync = (state: ClaimState, sync: number, change: Partial<SyncRow>): ClaimState => ({
  ...state,
  syncs: state.syncs.with(sync, { ...state.syncs[sync]!, ...change }),
});

export const isAtWork = (row: RunRow | undefined): boolean =>
  row?.status === 'starting' || row?.status === 'running' || row?.status === 'cancelling';

/** Whether a pause of the sync covers this due time. */
export const isCovered = ({ pauses }: SyncRow, due: number): boolean =>
  pauses.some(({ from, until }) => from < due && (until === null || due <= until));

export const isPaused = (row: SyncRow | undefined): boolean =>
  row?.pauses.some(({ until }) => until === null) ?? false;
