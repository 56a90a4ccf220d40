/** Work that a pause may end early: it sees a cancellation of its scope, while the run itself goes on. */
import { CancellationScope, isCancellation } from '@temporalio/workflow';
import type { RunState } from './run-state.ts';

/** Runs `work` as the work in hand; `interrupted` when it ended as cancelled because `run.inHand` was. */
export async function interruptible<T>(run: RunState, work: () => Promise<T>): Promise<T | 'interrupted'> {
  const scope = new CancellationScope();
  run.inHand = scope;
  try {
    return await scope.run(work);
  } catch (error) {
    if (scope.consideredCancelled && isCancellation(error)) return 'interrupted';
    throw error;
  } finally {
    delete run.inHand;
  }
}
