/** The peer of whole runs: bare workflows, a loop that starts them, and a worker of their own. */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';

export interface BareRuns {
  readonly workerPid: number;
  /** Starts so many, with so many calls under way, and waits until all are over. Seconds from the first start on. */
  readonly runAll: (count: number, concurrency: number) => Promise<number>;
  readonly stop: () => Promise<void>;
}

const taskQueue = 'bare';

/** Resolves when its worker is there. */
export async function startBareRuns(client: Client, address: string): Promise<BareRuns> {
  const child = fork(new URL('bare-worker.ts', import.meta.url), [address, taskQueue], {
    execArgv: ['--import', new URL('../../support/register-ts.mjs', import.meta.url).href],
  });
  await once(child, 'message');
  return {
    workerPid: child.pid!,
    async runAll(count, concurrency) {
      const batch = randomUUID();
      const startedMs = Date.now();
      let left = count;
      const start = async (): Promise<void> => {
        while (left-- > 0)
          await client.workflow.start('bareRun', {
            workflowId: `bare:${batch}:${left}`,
            taskQueue,
            args: [],
          });
      };
      await Promise.all(Array.from({ length: concurrency }, start));
      return (await untilClosed(client, batch, count)) / 1_000 - startedMs / 1_000;
    },
    async stop() {
      child.disconnect();
      await once(child, 'exit');
    },
  };
}

/** When the last of them closed by the server's clock, in ms since the Unix epoch. */
async function untilClosed(client: Client, batch: string, count: number): Promise<number> {
  const query = `WorkflowId STARTS_WITH 'bare:${batch}' AND ExecutionStatus = 'Completed'`;
  while ((await client.workflow.count(query)).count < count) await sleep(250);
  let lastMs = 0;
  for await (const { closeTime } of client.workflow.list({ query, pageSize: 1_000 }))
    lastMs = Math.max(lastMs, closeTime!.getTime());
  return lastMs;
}
