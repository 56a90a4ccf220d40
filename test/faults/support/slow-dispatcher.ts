/** A dispatcher whose operations are begun, taken on, and broken off one call at a time. */
import type { RunId } from '../../../src/domain/ids.ts';
import { hasCode } from '../../../src/domain/errors.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import { admit } from '../../../src/schedule/admit.ts';
import { offerComeDue, type DispatcherDeps } from '../../../src/schedule/dispatcher.ts';
import { createLauncher } from '../../../src/schedule/launch.ts';
import { reconcile } from '../../../src/schedule/reconcile.ts';
import { refill } from '../../../src/schedule/refill.ts';
import { createSweep } from '../../../src/schedule/sweep.ts';
import { tick } from '../../../src/schedule/tick.ts';
import { createGate, type CallFate } from './gate.ts';

export const operationNames = [
  'refill',
  'tick',
  'comeDue',
  'unblock',
  'admit',
  'sweep',
  'reconcile',
] as const;
export type OperationName = (typeof operationNames)[number];

export interface SlowDispatcher {
  /** Begins an operation, unless one is in hand: it waits at its first call. */
  readonly begin: (name: OperationName) => Promise<void>;
  /** Lets so many calls go, and waits at the next. */
  readonly go: (calls: number, fate?: CallFate) => Promise<void>;
  /** Lets go whatever the operation calls until it has ended. */
  readonly finish: () => Promise<void>;
  /** Finishes what is in hand, and does an operation from its beginning to its end. */
  readonly does: (name: OperationName) => Promise<void>;
  /** It dies at the call that it waits at; whoever begins something with it next is its successor. */
  readonly die: (how: 'sent' | 'unsent') => Promise<void>;
  /** What no outage explains. */
  readonly errors: readonly unknown[];
}

const mostCalls = 2_000;
const times = { overdueMs: 5_000, ticketMs: 30_000, silentMs: 60_000, lookEveryMs: 1_000 };

/** @param portsOf as a dispatcher gets them; asked anew for each of its lives */
export function createSlowDispatcher(portsOf: () => DispatcherDeps): SlowDispatcher {
  const errors: unknown[] = [];
  let life = bear(portsOf());
  const hand: { name?: OperationName | undefined } = {};
  const end = (error?: unknown): void => {
    hand.name = undefined;
    const isKnown = hasCode(error, 'UNAVAILABLE') || hasCode(error, 'ENGINE_UNREACHABLE');
    if (error !== undefined && !isKnown) errors.push(error);
  };
  const begin = async (name: OperationName): Promise<void> => {
    if (hand.name) return;
    hand.name = name;
    life.operations[name]().then(() => end(), end);
    await life.gate.settled();
  };
  const finish = async (): Promise<void> => {
    for (let n = 0; hand.name; n += 1) {
      if (n > mostCalls || life.gate.waiting().length === 0)
        throw new Error(`${hand.name} does not end; it waits for: ${life.gate.waiting().join(', ')}`);
      await life.gate.letGo('done');
    }
  };
  return {
    errors,
    begin,
    finish,
    async go(calls, fate = 'done') {
      for (let n = 0; n < calls && hand.name; n += 1) await life.gate.letGo(fate);
    },
    async does(name) {
      await finish();
      await begin(name);
      await finish();
    },
    async die(how) {
      await life.gate.kill(how);
      life = bear(portsOf());
    },
  };
}

/** A process: what it remembers dies with it. */
function bear(ports: DispatcherDeps) {
  const gate = createGate();
  const deps: DispatcherDeps = {
    ...ports,
    index: gate.wrap(ports.index, 'UNAVAILABLE'),
    store: gate.wrap(ports.store, 'UNAVAILABLE'),
    starter: gate.wrap(ports.starter, 'ENGINE_UNREACHABLE'),
  };
  const { closeRun } = gate.wrap({ closeRun: ports.closeRun }, 'UNAVAILABLE');
  const cap = ports.options.globalCap;
  const met = new Map<RunId, RunToStart>();
  const launcher = createLauncher({ ...deps, onMet: (run) => void met.set(run.runId, run) }, 10, () => {});
  const sweep = createSweep({ ...deps, launcher }, { ...times, cap });
  const operations: Record<OperationName, () => Promise<unknown>> = {
    // Not again, as a dispatcher does when it starts: nothing may depend on somebody's start.
    refill: () => refill(deps, { again: false }),
    tick: () => tick(deps, times.lookEveryMs),
    comeDue: () => offerComeDue(deps, times.lookEveryMs),
    unblock: async () => deps.index.offerRuns(await deps.store.fetchUnblockedRuns()),
    admit: async () => {
      if (launcher.isStalled() && !(await launcher.retry())) return;
      await admit({ ...deps, launcher }, cap);
      await launcher.drain();
    },
    sweep: async () => {
      await sweep();
      await launcher.drain();
    },
    reconcile: async () => {
      const runs = [...met.values()];
      met.clear();
      const options = { cancelAgainMs: times.overdueMs, silentMs: times.silentMs, met: runs };
      await reconcile({ ...deps, closeRun, releaseSync: undefined }, options);
    },
  };
  return { gate, operations };
}
