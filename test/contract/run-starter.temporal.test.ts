import { connectClient } from '../../src/workers/temporal/connect-client.ts';
import { createRunStarter } from '../../src/workers/temporal/run-starter.ts';
import { findFreePort } from '../../src/dev/free-port.ts';
import { createNamespace } from '../support/stack.ts';
import { runQueueOf } from '../../src/workflows/names.ts';
import { describeRunStarter } from './run-starter.contract.ts';

describeRunStarter('on Temporal', async () => {
  const { address, namespace } = await createNamespace();
  const client = connectClient({ address, namespace });
  const nobody = connectClient({ address: `127.0.0.1:${await findFreePort()}`, namespace });
  let polling: Promise<unknown> | undefined;
  return {
    starter: createRunStarter({ client, taskQueue: 'penstock' }),
    unreachable: createRunStarter({ client: nobody, taskQueue: 'penstock', deadlineMs: 300 }),
    close: async (workflowId) => {
      await client.workflow.getHandle(workflowId).terminate();
    },
    poll: () => {
      const asked = { namespace, taskQueue: { name: runQueueOf('penstock') }, identity: 'a worker' };
      const poll = () => client.workflowService.pollWorkflowTaskQueue(asked);
      // nothing is there to be done: it waits for as long as it may
      polling = client.withDeadline(Date.now() + 3_000, poll).catch(() => {});
    },
    end: async () => {
      await polling;
      await client.connection.close();
      await nobody.connection.close();
    },
  };
});
