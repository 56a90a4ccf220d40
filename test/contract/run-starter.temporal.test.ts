import { connectClient } from '../../src/workers/temporal/connect-client.ts';
import { createRunStarter } from '../../src/workers/temporal/run-starter.ts';
import { findFreePort } from '../../src/dev/free-port.ts';
import { createNamespace } from '../support/stack.ts';
import { describeRunStarter } from './run-starter.contract.ts';

describeRunStarter('on Temporal', async () => {
  const { address, namespace } = await createNamespace();
  const client = connectClient({ address, namespace });
  const nobody = connectClient({ address: `127.0.0.1:${await findFreePort()}`, namespace });
  return {
    starter: createRunStarter({ client, taskQueue: 'penstock' }),
    unreachable: createRunStarter({ client: nobody, taskQueue: 'penstock', deadlineMs: 300 }),
    close: async (workflowId) => {
      await client.workflow.getHandle(workflowId).terminate();
    },
    end: async () => {
      await client.connection.close();
      await nobody.connection.close();
    },
  };
});
