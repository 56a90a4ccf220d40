/** The engine as a table in memory: the same contract suite runs over it and over Temporal. */
import { PenstockError } from '../../src/domain/errors.ts';
import type { RunStarter, RunToStart } from '../../src/ports/run-starter.ts';

export interface FakeRunStarter extends RunStarter {
  /** Every run that got a workflow, in order of start. A second start of the same run is not in it. */
  readonly started: readonly RunToStart[];
  /** Every call of `start` that was answered, also those that found the workflow there. */
  readonly startCalls: number;
  /** Workflows that were told to go on and were open. */
  readonly resumed: ReadonlySet<string>;
  /** Workflows that were asked to cancel and were open. */
  readonly cancelled: ReadonlySet<string>;
  /** Ends a workflow, as its own completion or an operator would. */
  close(workflowId: string): void;
  /** From now on nothing answers; or everything does again. */
  setReachable(isReachable: boolean): void;
  /** Whether a worker is there: a common one, which is there at first, or one of a class. */
  setWorker(isThere: boolean, workerClass?: string): void;
  /** Starts of this run are refused with the error, until it is null. */
  refuse(error: Error | null): void;
}

export function createFakeRunStarter(): FakeRunStarter {
  const workflows = new Map<string, 'open' | 'closed'>();
  const started: RunToStart[] = [];
  const cancelled = new Set<string>();
  const resumed = new Set<string>();
  let startCalls = 0;
  let isReachable = true;
  const served = new Set<string | undefined>([undefined]);
  let refusal: Error | null = null;
  const answer = async (): Promise<void> => {
    await Promise.resolve();
    if (!isReachable) throw new PenstockError('ENGINE_UNREACHABLE', 'The fake engine is down.');
  };
  const ask = async (workflowId: string): Promise<'asked' | 'unknown'> => {
    await answer();
    return workflows.get(workflowId) === 'open' ? 'asked' : 'unknown';
  };
  return {
    started,
    cancelled,
    resumed,
    get startCalls() {
      return startCalls;
    },
    async start(run) {
      await answer();
      if (refusal) throw refusal;
      startCalls += 1;
      if (workflows.has(run.workflowId)) return 'already_started';
      workflows.set(run.workflowId, 'open');
      started.push(run);
      return 'started';
    },
    async describe(workflowId) {
      await answer();
      return { state: workflows.get(workflowId) ?? 'unknown', pausedSteps: [] };
    },
    async hasWorker(workerClass) {
      await answer();
      return served.has(workerClass);
    },
    async cancel(workflowId) {
      const result = await ask(workflowId);
      if (result === 'asked') cancelled.add(workflowId);
      return result;
    },
    async terminate(workflowId) {
      if ((await ask(workflowId)) === 'asked') workflows.set(workflowId, 'closed');
    },
    pause: ask,
    async resume(workflowId) {
      const result = await ask(workflowId);
      if (result === 'asked') resumed.add(workflowId);
      return result;
    },
    close: (workflowId) => void workflows.set(workflowId, 'closed'),
    setReachable: (value) => {
      isReachable = value;
    },
    setWorker: (isThere, workerClass) => {
      if (isThere) served.add(workerClass);
      else served.delete(workerClass);
    },
    refuse: (error) => {
      refusal = error;
    },
  };
}
