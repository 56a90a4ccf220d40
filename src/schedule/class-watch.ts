/**
 * Which worker classes somebody serves. Runs of the others stay queued: started, they would hold places that others could
 * have, for as long as no worker comes. The common workers' runs are never held back. It only saves places, so being late
 * is harmless: what starts all the same waits in the engine.
 */
import type { RunStarter } from '../ports/run-starter.ts';
import type { ScheduleStore, SweepStore } from '../ports/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';

interface ClassWatchDeps<Store> {
  readonly store: Store;
  readonly starter: Pick<RunStarter, 'hasWorker'>;
  readonly log: Logger;
}

export interface ClassWatch<Store> {
  /** The store, which lets no run of another class start, and offers none; of a class that is new, until the next look. */
  readonly store: Store;
  /** Asks the engine who serves the classes that connections name. Returns whether somebody serves one that nobody did. */
  look(): Promise<boolean>;
}

type Withholding = Pick<ScheduleStore, 'startRuns'> &
  Pick<SweepStore, 'fetchWaitingRuns' | 'fetchAdmissible' | 'fetchWorkerClasses'>;

export function createClassWatch<Store extends Withholding>(deps: ClassWatchDeps<Store>): ClassWatch<Store> {
  const { store, starter, log } = deps;
  /** Undefined before the engine has said anything: then nobody is held back. */
  let served: readonly string[] | undefined;
  let lacking: readonly string[] = [];
  return {
    store: {
      ...store,
      startRuns: (runIds) => store.startRuns(runIds, served),
      fetchWaitingRuns: (runIds) => store.fetchWaitingRuns(runIds, served),
      fetchAdmissible: (cap, limit) => store.fetchAdmissible(cap, limit, served),
    },
    async look() {
      const names = await store.fetchWorkerClasses();
      const isServed = await Promise.all(names.map((name) => starter.hasWorker(name)));
      const before = lacking;
      served = names.filter((_, n) => isServed[n]);
      lacking = names.filter((_, n) => !isServed[n]);
      const [lost, found] = [without(lacking, before), without(before, lacking)];
      for (const workerClass of lost)
        log.warn({ workerClass }, 'admit: no worker of the class asks for work, its runs stay queued');
      for (const workerClass of found) log.info({ workerClass }, 'admit: runs of the class start again');
      return found.length > 0;
    },
  };
}

const without = (names: readonly string[], others: readonly string[]): readonly string[] =>
  names.filter((name) => !others.includes(name));
