/** The pollers and backlogs of our task queues (src/ports/fleet.ts), as the server counts them. */
import type { Client } from '@temporalio/client';
import { PenstockError } from '../../domain/errors.ts';
import {
  fleetWork,
  type Fleet,
  type FleetQueue,
  type FleetWork,
  type FleetWorker,
} from '../../ports/fleet.ts';
import { copyQueueOf, runQueueOf } from '../../workflows/names.ts';

const deadlineMs = 3_000;
const workflowTasks = 1;
const activityTasks = 2;

const queues: Record<FleetWork, { nameOf: (prefix: string) => string; taskQueueType: number }> = {
  workflows: { nameOf: runQueueOf, taskQueueType: workflowTasks },
  steps: { nameOf: runQueueOf, taskQueueType: activityTasks },
  copies: { nameOf: copyQueueOf, taskQueueType: activityTasks },
};

/** A fleet over a client that it does not own. */
export function createFleet(client: Client, taskQueue: string): Fleet {
  const ask = (work: FleetWork) => {
    const { nameOf, taskQueueType } = queues[work];
    return client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name: nameOf(taskQueue) },
      taskQueueType,
      reportStats: true,
    });
  };
  return {
    describe: async () => {
      const found = await client
        .withDeadline(Date.now() + deadlineMs, () => Promise.all(fleetWork.map(ask)))
        .catch((cause: unknown) => {
          throw new PenstockError('ENGINE_UNREACHABLE', 'Temporal does not say who polls.', { cause });
        });
      const workers = new Map<string, FleetWorker>();
      for (const [index, { pollers }] of found.entries())
        for (const poller of pollers ?? []) noteWorker(workers, fleetWork[index]!, poller);
      return {
        workers: [...workers.values()],
        queues: found.map(({ stats }, index): FleetQueue => {
          const work = fleetWork[index]!;
          return {
            name: queues[work].nameOf(taskQueue),
            work,
            backlog: stats?.approximateBacklogCount?.toNumber() ?? 0,
            backlogAgeMs: msOf(stats?.approximateBacklogAge),
          };
        }),
      };
    },
  };
}

type Described = Awaited<ReturnType<Client['workflowService']['describeTaskQueue']>>;
type Poller = NonNullable<Described['pollers']>[number];

function noteWorker(
  workers: Map<string, FleetWorker>,
  work: FleetWork,
  { identity, lastAccessTime, deploymentOptions, workerVersionCapabilities }: Poller,
): void {
  const key = identity ?? '';
  const known = workers.get(key);
  const lastSeenAt = new Date(msOf(lastAccessTime)).toISOString();
  const buildId = deploymentOptions?.buildId || workerVersionCapabilities?.buildId || null;
  workers.set(key, {
    identity: key,
    buildId: known?.buildId ?? buildId,
    lastSeenAt: known && known.lastSeenAt > lastSeenAt ? known.lastSeenAt : lastSeenAt,
    polls: [...(known?.polls ?? []), work],
  });
}

const msOf = (time: { seconds?: { toNumber(): number } | null; nanos?: number | null } | null | undefined) =>
  (time?.seconds?.toNumber() ?? 0) * 1_000 + Math.floor((time?.nanos ?? 0) / 1e6);
