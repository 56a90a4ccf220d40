/**
 * The world of the commit protocol: the destination as committed, the processes that write to it, and what is on its
 * way. Values are immutable; steps make new ones. Numbers stand for ids: rows, runs and loads are indices, epochs are
 * the order in which the engine scheduled the attempts of a partition.
 */
import type { RuleSet } from './rules.ts';

export interface Row {
  readonly key: number;
  /** Its value in the cursor column. */
  readonly cursor: number;
  readonly part: number;
}

export const faultNames = [
  'takeover',
  'unknownCommit',
  'kill',
  'restore',
  'freeze',
  'reset',
  'recreate',
  'swallow',
  'clean',
  'drift',
] as const;
export type FaultName = (typeof faultNames)[number];
/** How often each fault may still happen. */
export type Faults = Readonly<Partial<Record<FaultName, number>>>;

export interface Scenario {
  readonly rows: readonly Row[];
  readonly parts: number;
  /** The greatest cursor value that each run's probe of the source sees. */
  readonly highs: readonly number[];
  /** The hash of each run's plan. */
  readonly plans: readonly string[];
  readonly mode: 'append' | 'upsert';
  /** Rows come in key order and can be continued after a key; otherwise every attempt starts again, into a shadow. */
  readonly resumable: boolean;
  /** Runs that fill in the past and must not move the cursor. */
  readonly backfills: readonly number[];
  /** What an attempt does whose connection died: take its lease again under its own epoch, or ask to be called again. */
  readonly reconnect: 'same attempt' | 'new call';
  readonly faults: Faults;
}

export interface Config {
  readonly scenario: Scenario;
  readonly rules: RuleSet;
}

export const nobody = -1;
/** Below every key. */
const beforeAll = 0;

export interface Checkpoint {
  readonly no: number;
  readonly lo: number;
  readonly hi: number;
  readonly rows: number;
  readonly final: boolean;
}

export interface Lease {
  readonly run: number;
  readonly epoch: number;
  /** Not in any table: the latest attempt of that run that ever held it. */
  readonly latest: number;
}

export interface Load {
  readonly openedBy: number;
  readonly low: number;
  readonly high: number;
  readonly plan: string;
  readonly table: number;
  readonly phase: 'open' | 'done' | 'abandoned';
  readonly leases: readonly Lease[];
  readonly checkpoints: readonly (readonly Checkpoint[])[];
  /** Copies of each row in the shadow of a load that is not resumable. */
  readonly shadow: readonly number[];
  readonly receipt: number;
}

export interface Database {
  readonly runs: readonly ('absent' | 'open' | 'final')[];
  /** Two places for each run: run × 2 + n. */
  readonly loads: readonly (Load | null)[];
  readonly cursor: number;
  readonly copies: readonly number[];
  /** The version in which each row was last written. */
  readonly versions: readonly number[];
  /** The target's oid. */
  readonly table: number;
}

/** What a transaction in progress will have done when it commits. */
export interface Batch {
  readonly load: number;
  readonly part: number;
  readonly run: number;
  readonly epoch: number;
  readonly no: number;
  readonly lo: number;
  readonly hi: number;
  readonly rows: readonly number[];
  readonly final: boolean;
}

/** One attempt at one partition: a process with a connection. */
export interface Copier {
  readonly run: number;
  readonly load: number;
  readonly part: number;
  /** Its place in the order of attempts, which is its epoch unless attempts invent their epochs. */
  readonly born: number;
  readonly epoch: number;
  /** The engine has given it up and started another; it does not know. */
  readonly replaced: boolean;
  /** It will never move again. */
  readonly frozen: boolean;
  readonly at: 'take' | 'looked' | 'emptying' | 'ready' | 'open';
  /** The newest checkpoint as far as it knows: its number, and where to read on. */
  readonly no: number;
  readonly hi: number;
  readonly batch: Batch | null;
  /** Rows that it saw committed; only kept where a rule is off that needs it. */
  readonly counted: number;
}

/** An activity that is not a copier and has been replaced, before the transaction that it was about to begin. */
export type Straggler =
  | {
      readonly does: 'open';
      readonly run: number;
      readonly low: number;
      readonly high: number;
      readonly n: number;
      readonly plan: string;
    }
  | { readonly does: 'finish'; readonly run: number; readonly load: number };

export interface Workflow {
  readonly stage:
    | 'waiting'
    | 'prepare'
    | 'abandon'
    | 'open'
    | 'copy'
    | 'finish'
    | 'published'
    | 'publish'
    | 'closing'
    | 'marked'
    | 'closed';
  /** The hash of the plan that its preparation makes. */
  readonly plan: string;
  readonly load: number;
  readonly low: number;
  readonly n: number;
  readonly finished: readonly boolean[];
  /** Attempts made at each partition. */
  readonly calls: readonly number[];
  readonly wanted: 'succeeded' | 'failed';
  readonly counted: number;
}

export interface State {
  readonly db: Database;
  /** An older state of the destination, which a restore brings back. */
  readonly backup: Database | null;
  readonly workflows: readonly Workflow[];
  readonly copiers: readonly Copier[];
  readonly stragglers: readonly Straggler[];
  /** Transactions in progress whose client has lost its connection: COMMIT was sent. */
  readonly orphans: readonly Batch[];
  readonly left: Faults;
  /** Whether a restore, a reset or a new table has made rows disappear that were there. */
  readonly tampered: boolean;
  /** The first thing that a step itself found wrong. */
  readonly broken: string | null;
}

const idleWorkflow = (parts: number, plan: string): Workflow => ({
  stage: 'waiting',
  plan,
  load: nobody,
  low: beforeAll,
  n: 0,
  finished: Array<boolean>(parts).fill(false),
  calls: Array<number>(parts).fill(0),
  wanted: 'succeeded',
  counted: 0,
});

/** An empty destination, a source with rows, the first run about to start. */
export function initialState(scenario: Scenario): State {
  return {
    db: {
      runs: scenario.plans.map(() => 'absent'),
      loads: scenario.plans.flatMap(() => [null, null]),
      cursor: 0,
      copies: scenario.rows.map(() => 0),
      versions: scenario.rows.map(() => 0),
      table: 1,
    },
    backup: null,
    workflows: scenario.plans.map((plan, run) => ({
      ...idleWorkflow(scenario.parts, plan),
      stage: run === 0 ? 'prepare' : 'waiting',
    })),
    copiers: [],
    stragglers: [],
    orphans: [],
    left: scenario.faults,
    tampered: false,
    broken: null,
  };
}

export const noLease: Lease = { run: nobody, epoch: 0, latest: 0 };

export const unleased = (load: Load): Load['leases'] => load.leases.map(() => noLease);

/** The loads that a run has opened. */
export const loadsOf = (db: Database, run: number): (Load | null)[] => [
  db.loads[run * 2] ?? null,
  db.loads[run * 2 + 1] ?? null,
];

export const openLoadIn = (db: Database): number => db.loads.findIndex((load) => load?.phase === 'open');

export function withWorkflow(state: State, run: number, change: Partial<Workflow>): State {
  const workflow = state.workflows[run];
  return workflow ? { ...state, workflows: state.workflows.with(run, { ...workflow, ...change }) } : state;
}

export function withDb(state: State, change: Partial<Database>): State {
  return { ...state, db: { ...state.db, ...change } };
}

export function withLoad(state: State, index: number, change: Partial<Load>): State {
  const load = state.db.loads[index];
  return load ? withDb(state, { loads: state.db.loads.with(index, { ...load, ...change }) }) : state;
}

/** The state with one copier changed, or gone when `change` is null. */
export function withCopier(state: State, index: number, change: Partial<Copier> | null): State {
  const copier = state.copiers[index];
  if (!copier) return state;
  const copiers = change
    ? state.copiers.with(index, { ...copier, ...change })
    : state.copiers.toSpliced(index, 1);
  return { ...state, copiers };
}

export function withBroken(state: State, message: string): State {
  return state.broken === null ? { ...state, broken: message } : state;
}

/** The state after a fault, or null when it has happened as often as it may. */
export function spend(state: State, fault: FaultName): State | null {
  const left = state.left[fault] ?? 0;
  return left > 0 ? { ...state, left: { ...state.left, [fault]: left - 1 } } : null;
}
