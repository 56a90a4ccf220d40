/** The engine of the scheduler's world, which remembers what it was asked for: a table in memory, or a real one. */
import { PenstockError } from '../../../src/domain/errors.ts';
import type { RunStarter, RunToStart } from '../../../src/ports/run-starter.ts';
import type { FakeRunStarter } from '../../support/fake-run-starter.ts';

export interface WorldEngine
  extends RunStarter, Pick<FakeRunStarter, 'started' | 'cancelled' | 'setReachable'> {
  /** Ends a workflow, as its own completion or an operator would. */
  readonly close: (workflowId: string) => void | Promise<void>;
}

/** A real engine without workers, whose workflows do nothing until they are terminated. */
export function watchEngine(real: RunStarter, terminate: (workflowId: string) => Promise<void>): WorldEngine {
  const started: RunToStart[] = [];
  const cancelled = new Set<string>();
  let isReachable = true;
  const reach =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (!isReachable) throw new PenstockError('ENGINE_UNREACHABLE', 'The engine is away.');
      return call(...args);
    };
  /** Nobody is there to answer an update. */
  const find = reach(async (workflowId: string) =>
    (await real.describe(workflowId)).state === 'open' ? ('asked' as const) : ('unknown' as const),
  );
  return {
    started,
    cancelled,
    start: reach(async (run) => {
      const answer = await real.start(run);
      if (answer === 'started') started.push(run);
      return answer;
    }),
    describe: reach((workflowId) => real.describe(workflowId)),
    hasWorker: reach((workerClass) => real.hasWorker(workerClass)),
    cancel: reach(async (workflowId) => {
      const answer = await real.cancel(workflowId);
      if (answer === 'asked') cancelled.add(workflowId);
      return answer;
    }),
    terminate: reach((workflowId) => real.terminate(workflowId)),
    pause: find,
    resume: find,
    close: terminate,
    setReachable: (value) => void (isReachable = value),
  };
}
