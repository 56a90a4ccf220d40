/** The pollers and backlogs of our task queues (src/ports/fleet.ts), as the server counts them. */
import type { Client } from '@temporalio/client';
import { PenstockError } from '../../domain/errors.ts';
import type { Fleet, FleetQueue, FleetWorker } from '../../ports/fleet.ts';
import { copyQueueOf, runQueueOf, stepQueueOf } from '../../workflows/names.ts';

const deadlineMs = 3_000;
const workflowTasks = 1;
const activityTasks = 2;

interface Queue extends Pick<FleetQueue, 'name' | 'work' | 'workerClass'> {
  readonly taskQueueType: number;
}

/** @param prefix of all queues of the installation */
const queuesOf = (prefix: string, workerClasses: readonly string[]): Queue[] => [
  { name: runQueueOf(prefix), work: 'workflows', workerClass: null, taskQueueType: workflowTasks },
  ...[null, ...workerClasses].flatMap((workerClass): Queue[] => {
    const of = { workerClass, taskQueueType: activityTasks };
    return [
      { name: stepQueueOf(prefix, workerClass ?? undefined), work: 'steps', ...of },
      { name: copyQueueOf(prefix, workerClass ?? undefined), work: 'copies', ...of },
    ];
  }),
];

/**
 * A fleet over a client that it does not own.
 * @param fetchClasses those that connections name
 */
export function createFleet(
  client: Client,
  taskQueue: string,
  fetchClasses: () => Promise<readonly string[]>,
): Fleet {
  const ask = ({ name, taskQueueType }: Queue) =>
    client.workflowService.describeTaskQueue({
      namespace: client.options.namespace,
      taskQueue: { name },
      taskQueueType,
      reportStats: true,
    });
  return {
    describe: async () => {
      const queues = queuesOf(taskQueue, await fetchClasses());
      const found = await client
        .withDeadline(Date.now() + deadlineMs, () => Promise.all(queues.map(ask)))
        .catch((cause: unknown) => {
          throw new PenstockError('ENGINE_UNREACHABLE', 'Temporal does not say who polls.', { cause });
        });
      const workers = new Map<string, FleetWorker>();
      for (const [index, { pollers }] of found.entries())
        for (const poller of pollers ?? []) noteWorker(workers, queues[index]!, poller);
      return {
        workers: [...workers.values()],
        queues: found.map(({ stats }, index): FleetQueue => {
          const { name, work, workerClass } = queues[index]!;
          return {
            name,
            work,
            workerClass,
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
  { work, workerClass }: Queue,
  { identity, lastAccessTime, deploymentOptions, workerVersionCapabilities }: Poller,
): void {
  // Processes of two hosts of one name may have one identity; a process serves one class.
  const key = `${identity ?? ''} ${workerClass ?? ''}`;
  const known = workers.get(key);
  const lastSeenAt = new Date(msOf(lastAccessTime)).toISOString();
  const buildId = deploymentOptions?.buildId || workerVersionCapabilities?.buildId || null;
  workers.set(key, {
    identity: identity ?? '',
    buildId: known?.buildId ?? buildId,
    lastSeenAt: known && known.lastSeenAt > lastSeenAt ? known.lastSeenAt : lastSeenAt,
    workerClass,
    polls: [...(known?.polls ?? []), work],
  });
}

const msOf = (time: { seconds?: { toNumber(): number } | null; nanos?: number | null } | null | undefined) =>
  (time?.seconds?.toNumber() ?? 0) * 1_000 + Math.floor((time?.nanos ?? 0) / 1e6);
