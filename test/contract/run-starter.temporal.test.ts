import { connectClient } from '../../src/workers/temporal/connect-client.ts';
import { createRunStarter } from '../../src/workers/temporal/run-starter.ts';
import { findFreePort } from '../../src/dev/free-port.ts';
import { createNamespace } from '../support/stack.ts';
import { stepQueueOf } from '../../src/workflows/names.ts';
import { describeRunStarter } from './run-starter.contract.ts';

describeRunStarter('on Temporal', async () => {
  const { address, namespace } = await createNamespace();
  const client = connectClient({ address, namespace });
  const nobody = connectClient({ address: `127.0.0.1:${await findFreePort()}`, namespace });
  const polling: Promise<unknown>[] = [];
  return {
    starter: createRunStarter({ client, taskQueue: 'penstock' }),
    unreachable: createRunStarter({ client: nobody, taskQueue: 'penstock', deadlineMs: 300 }),
    close: async (workflowId) => {
      await client.workflow.getHandle(workflowId).terminate();
    },
    poll: (workerClass) => {
      const asked = {
        namespace,
        identity: 'a worker',
        taskQueue: { name: stepQueueOf('penstock', workerClass) },
      };
      const poll = () =>
        workerClass === undefined
          ? client.workflowService.pollWorkflowTaskQueue(asked)
          : client.workflowService.pollActivityTaskQueue(asked);
      // nothing is there to be done: it waits for as long as it may
      polling.push(client.withDeadline(Date.now() + 3_000, async () => void (await poll())).catch(() => {}));
    },
    end: async () => {
      await Promise.all(polling);
      await client.connection.close();
      await nobody.connection.close();
    },
  };
});
