/**
 * How a mirror deletes: two loads of one sync, of which the second finds a row again that the first has to delete. Whatever
 * dies, thaws or crashes in between, each load that is done has made the target what its result was.
 *
 * Sets of keys are bits. Steps are transactions; a rule that makes one of two is a switch. Leases, checkpoints and the proof
 * of the end are those of the commit protocol's model: here a batch commits, or it does not.
 */
import { explore, Fingerprint, type Exploration, type Step } from '../explore.ts';

export const rules = {
  keysWithRows: 'A batch notes its keys in the transaction of its rows.',
  keysAreLogged: 'The tables of keys survive a crash of the server.',
  judgeAfterEnd: 'The target is compared with the keys only when the end of the result is proven.',
  guardFirst: 'The guard judges before the first delete.',
  refusedIsAbandoned: 'A load that the guard refuses is abandoned.',
  deleteForOpenRun: 'A final run deletes nothing.',
  deleteOfOpenLoad: 'A load that was abandoned deletes nothing.',
  recordWithDelete: 'A chunk and the record of it are one transaction.',
} as const;
export type RuleName = keyof typeof rules;

export interface Scenario {
  /** Keys of the target before, and of the two results, batch by batch. */
  readonly before: number;
  readonly results: readonly [readonly number[], readonly number[]];
  /** The second run's plan is another one: it abandons what the first left. */
  readonly otherPlan: boolean;
  /** A user resets the sync while the first run is at work, which then begins again. */
  readonly reset: boolean;
  readonly crashes: number;
}

interface Load {
  readonly phase: 'absent' | 'loading' | 'loaded' | 'done' | 'abandoned';
  readonly batches: number;
  readonly seen: number;
  /** Keys whose rows are committed and which nobody has noted yet. */
  readonly unnoted: number;
  readonly doomed: number;
  /** Of the doomed, those that a record says are gone. */
  readonly recorded: number;
  /** As recorded, and as it was. */
  readonly deleted: number;
  readonly reallyDeleted: number;
}

interface State {
  readonly target: number;
  readonly loads: readonly [Load, Load];
  /** The first run's activities have been given up, and may thaw; somebody else is at work. */
  readonly isSecond: boolean;
  readonly firstIsFinal: boolean;
  /** The load that the second run works on. */
  readonly at: 0 | 1;
  readonly crashes: number;
  readonly broken: string | null;
}

const bits = (set: number): number => (set === 0 ? 0 : (set & 1) + bits(set >> 1));
const least = (set: number): number => set & -set;
const union = (sets: readonly number[]): number => sets.reduce((all, set) => all | set, 0);

const absent: Load = {
  phase: 'absent',
  batches: 0,
  seen: 0,
  unnoted: 0,
  doomed: 0,
  recorded: 0,
  deleted: 0,
  reallyDeleted: 0,
};

interface World {
  readonly scenario: Scenario;
  readonly on: Readonly<Record<RuleName, boolean>>;
}

const withLoad = (state: State, n: 0 | 1, change: Partial<Load>): State => ({
  ...state,
  loads: state.loads.with(n, { ...state.loads[n], ...change }) as [Load, Load],
});

const isOpen = ({ phase }: Load): boolean => phase === 'loading' || phase === 'loaded';

/** What an activity of a run does next for a load: of the run at work, or of the first one, thawed. */
function workSteps(world: World, state: State, run: 0 | 1, n: 0 | 1): Step<State>[] {
  const { on, scenario } = world;
  const load = state.loads[n];
  const who = `run ${run + 1}`;
  const isZombie = run === 0 && state.isSecond;
  const result = scenario.results[n];
  const steps: Step<State>[] = [];
  const isEnd = load.batches === result.length;
  // A zombie's batches are refused by its lease: the other model's matter.
  if (!isZombie && load.phase === 'loading' && !isEnd) {
    const keys = result[load.batches]!;
    const next = { ...state, target: state.target | keys };
    const noted = on.keysWithRows ? { seen: load.seen | keys } : { unnoted: load.unnoted | keys };
    steps.push({
      label: `${who} commits a batch`,
      next: withLoad(next, n, { batches: load.batches + 1, ...noted }),
    });
  }
  if (!isZombie && load.unnoted > 0)
    steps.push({
      label: `${who} notes its keys`,
      next: withLoad(state, n, { seen: load.seen | load.unnoted, unnoted: 0 }),
    });
  if (isZombie && state.firstIsFinal && on.deleteForOpenRun) return steps;
  if (load.phase === 'loading' && (isEnd || !on.judgeAfterEnd)) steps.push(judge(world, state, n, who));
  const mayDelete = load.phase === 'loaded' || (load.phase === 'abandoned' && !on.deleteOfOpenLoad);
  if (!mayDelete) return steps;
  const left = load.doomed & ~load.recorded;
  if (left > 0) steps.push(...deleteChunk(world, state, { n, who, key: least(left), isZombie }));
  else if (load.phase === 'loaded')
    steps.push({ label: `${who} makes the load done`, next: done(scenario, state, n) });
  return steps;
}

function judge({ on, scenario }: World, state: State, n: 0 | 1, who: string): Step<State> {
  const { seen } = state.loads[n];
  const doomed = state.target & ~seen;
  const wasThere = scenario.before & state.target;
  const isTooMuch = bits(doomed & wasThere) === bits(wasThere) && wasThere > 0;
  if (!on.guardFirst || !isTooMuch)
    return { label: `${who} settles what goes`, next: withLoad(state, n, { phase: 'loaded', doomed }) };
  const phase = on.refusedIsAbandoned ? 'abandoned' : 'loading';
  const next = withLoad(state, n, { phase });
  return {
    label: `${who} would delete everything, and fails`,
    next: state.isSecond ? next : ended(next),
  };
}

const ended = (state: State): State => ({ ...state, isSecond: true, firstIsFinal: true });

interface Chunk {
  readonly n: 0 | 1;
  readonly who: string;
  readonly key: number;
  readonly isZombie: boolean;
}

function deleteChunk({ on }: World, state: State, { n, who, key, isZombie }: Chunk): Step<State>[] {
  const load = state.loads[n];
  const rows = bits(state.target & key);
  const wrong = isZombie && state.firstIsFinal ? 'a row is deleted for a final run' : null;
  const removed: State = { ...state, target: state.target & ~key, broken: state.broken ?? wrong };
  const record = { recorded: load.recorded | key, deleted: load.deleted + rows };
  const reallyDeleted = load.reallyDeleted + rows;
  if (on.recordWithDelete)
    return [{ label: `${who} deletes a chunk`, next: withLoad(removed, n, { ...record, reallyDeleted }) }];
  const half: Step<State>[] =
    rows > 0 ? [{ label: `${who} deletes a chunk`, next: withLoad(removed, n, { reallyDeleted }) }] : [];
  return [
    ...half,
    {
      label: `${who} deletes what is left of a chunk, and records it`,
      next: withLoad(removed, n, { ...record, reallyDeleted }),
    },
  ];
}

function done(scenario: Scenario, state: State, n: 0 | 1): State {
  const { deleted, reallyDeleted } = state.loads[n];
  const result = union(scenario.results[n]);
  const next = withLoad(state, n, { phase: 'done' });
  const wrong =
    result === 0 && scenario.before > 0
      ? 'everything is deleted because the source returned nothing'
      : (result & ~state.target) > 0
        ? 'a load is done and a row of its result is not there'
        : (state.target & ~result) > 0
          ? 'a load is done and a row is there that is not in its result'
          : deleted !== reallyDeleted
            ? 'a receipt does not say what was deleted'
            : null;
  return { ...next, broken: state.broken ?? wrong };
}

/** Who works next finishes or abandons what the first run left, then reads for itself. */
function nextLoadSteps({ scenario }: World, state: State): Step<State>[] {
  const first = state.loads[0];
  if (state.at === 1 || (isOpen(first) && !scenario.otherPlan)) return [];
  const left = isOpen(first) ? withLoad(state, 0, { phase: 'abandoned' }) : state;
  const next = withLoad({ ...left, at: 1 }, 1, { phase: 'loading' });
  return [{ label: 'run 2 opens a load of its own', next }];
}

function stepsOf(world: World, state: State): Step<State>[] {
  const steps: Step<State>[] = [];
  if (!state.isSecond) {
    steps.push(...workSteps(world, state, 0, 0));
    // What was not noted dies with the process.
    const given = withLoad(state, 0, { unnoted: 0 });
    steps.push({ label: 'run 1 is made final', next: ended(given) });
    if (world.scenario.reset && isOpen(state.loads[0])) {
      const next = withLoad({ ...given, isSecond: true }, 0, { phase: 'abandoned' });
      steps.push({ label: 'a user resets the sync', next });
    }
  } else {
    steps.push(...workSteps(world, state, 1, state.at));
    steps.push(
      ...workSteps(world, state, 0, 0).map(({ label, next }) => ({ label: `${label}, thawed`, next })),
    );
    steps.push(...nextLoadSteps(world, state));
  }
  if (state.crashes > 0) {
    const spent = { ...state, crashes: state.crashes - 1 };
    const lost = { seen: 0, doomed: 0, unnoted: 0 };
    const next = world.on.keysAreLogged ? spent : withLoad(withLoad(spent, 0, lost), 1, lost);
    steps.push({ label: 'the server crashes', next });
  }
  return steps;
}

const phases = ['absent', 'loading', 'loaded', 'done', 'abandoned'] as const;

function fingerprintOf(state: State): number {
  const print = new Fingerprint();
  print
    .add(state.target)
    .add(state.isSecond ? 1 : 0)
    .add(state.firstIsFinal ? 1 : 0)
    .add(state.at)
    .add(state.crashes)
    .add(state.broken === null ? 0 : 1);
  for (const load of state.loads) {
    const { phase, ...counts } = load;
    print.add(phases.indexOf(phase));
    for (const count of Object.values(counts)) print.add(count);
  }
  return print.value();
}

/** Explores a scenario with some rules off. */
export function exploreMirror(scenario: Scenario, off: readonly RuleName[] = []): Exploration {
  const on = Object.fromEntries(Object.keys(rules).map((name) => [name, !off.includes(name as RuleName)]));
  const world: World = { scenario, on: on as World['on'] };
  return explore<State>({
    initial: {
      target: scenario.before,
      loads: [{ ...absent, phase: 'loading' }, absent],
      isSecond: false,
      firstIsFinal: false,
      at: 0,
      crashes: scenario.crashes,
      broken: null,
    },
    steps: (state) => stepsOf(world, state),
    fingerprint: fingerprintOf,
    violation: (state) => state.broken ?? undefined,
    isDone: (state) => state.loads[1].phase === 'done',
  });
}

/** Key 4 goes with the first result and comes again with the second; key 2 is new. */
const ordinary: Scenario = {
  before: 0b1101,
  results: [[0b0001, 0b0010], [0b0111]],
  otherPlan: false,
  reset: false,
  crashes: 1,
};

export const scenarios = {
  ordinary,
  /** The second run reads something else. */
  otherPlan: { ...ordinary, otherPlan: true },
  reset: { ...ordinary, reset: true },
  /** The source has lost its rows, and has them again. */
  emptied: { ...ordinary, results: [[], [0b0101, 0b1000]] },
} satisfies Record<string, Scenario>;
