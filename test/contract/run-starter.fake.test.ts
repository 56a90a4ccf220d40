import { createFakeRunStarter } from '../support/fake-run-starter.ts';
import { describeRunStarter } from './run-starter.contract.ts';

describeRunStarter('in memory', async () => {
  const starter = createFakeRunStarter();
  starter.setWorker(false);
  const unreachable = createFakeRunStarter();
  unreachable.setReachable(false);
  return {
    starter,
    unreachable,
    close: async (workflowId) => starter.close(workflowId),
    poll: (workerClass) => starter.setWorker(true, workerClass),
    end: async () => {},
  };
});
