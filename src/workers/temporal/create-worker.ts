/**
 * The SDK's workers. Two of them share a process, or have one each: `workflows` decides and does the short activities,
 * `copy` moves rows and never loads the workflow runtime. A class has `steps`, its short activities, and `copy`.
 */
import { fileURLToPath } from 'node:url';
import { type NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import type { CopyActivities, RunActivities } from '../../activities/contract.ts';
import type { MaintenanceActivities } from '../../activities/maintenance-contract.ts';
import type { Logger } from '../../telemetry/logger.ts';
import { copyQueueOf, runQueueOf, stepQueueOf } from '../../workflows/names.ts';
import { packageVersion } from '../package-version.ts';
import { type PayloadKeys, workerConverter } from './payload-codec.ts';
import { createSdkLogger } from './sdk-logger.ts';

export type WorkerKind = 'copy' | 'steps' | 'workflows';

/** Where `npm run build` leaves the workflow bundles. */
const bundlePath = (name: string): string =>
  fileURLToPath(new URL(`../../../dist/${name}.js`, import.meta.url));

/**
 * An attempt commits the batch in hand within a few seconds of the drain; what has not by the end of the grace is told
 * to give up, and what does not even then is left behind. Platforms kill after 30 s.
 */
const shutdownGraceTime = '20s';
const shutdownForceTime = '25s';

/** Short activities at once. */
const shortSteps = 50;

interface WorkerSettings {
  connection: NativeConnection;
  namespace: string;
  /** Prefix of the task queues. */
  taskQueue: string;
  /** Whose runs `steps` and `copy` take; absent: those of no class. */
  workerClass?: string | undefined;
  identity: string;
  /** Copies at once. */
  slots: number;
  /** Payloads are encrypted with these. */
  payloadKeys?: PayloadKeys | undefined;
}

const common = ({
  connection,
  namespace,
  identity,
  payloadKeys,
}: WorkerSettings): Omit<WorkerOptions, 'taskQueue'> => ({
  connection,
  namespace,
  identity,
  shutdownGraceTime,
  shutdownForceTime,
  ...workerConverter(payloadKeys),
  // Shown with each poller; no task is routed by it.
  workerDeploymentOptions: {
    useWorkerVersioning: false,
    version: { deploymentName: 'penstock', buildId: packageVersion },
  },
  // One poll at a time until the server asks for more: the server goes on handing tasks to the polls of a process that
  // has frozen, and each task lost that way costs a time-out.
  workflowTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 1, maximum: 10 },
  activityTaskPollerBehavior: { type: 'autoscaling', minimum: 1, initial: 1, maximum: 10 },
  // Pauses and cancellations come back on heartbeats that are really sent.
  maxHeartbeatThrottleInterval: '1s',
  defaultHeartbeatThrottleInterval: '1s',
});

/** Polls for workflows and for the short activities. */
export const createRunWorker = (
  settings: WorkerSettings,
  activities: RunActivities & Partial<MaintenanceActivities>,
  workflowBundle: NonNullable<WorkerOptions['workflowBundle']> = {
    codePath: bundlePath(settings.payloadKeys ? 'workflow-bundle-encrypted' : 'workflow-bundle'),
  },
): Promise<Worker> =>
  Worker.create({
    ...common(settings),
    taskQueue: runQueueOf(settings.taskQueue),
    workflowBundle,
    activities,
    maxConcurrentActivityTaskExecutions: shortSteps,
    maxCachedWorkflows: 500,
  });

/** Polls for the short activities of a class. */
export const createStepWorker = (settings: WorkerSettings, activities: RunActivities): Promise<Worker> =>
  Worker.create({
    ...common(settings),
    taskQueue: stepQueueOf(settings.taskQueue, settings.workerClass),
    activities,
    maxConcurrentActivityTaskExecutions: shortSteps,
  });

/** Polls for copies only. */
export const createCopyWorker = (settings: WorkerSettings, activities: CopyActivities): Promise<Worker> =>
  Worker.create({
    ...common(settings),
    taskQueue: copyQueueOf(settings.taskQueue, settings.workerClass),
    activities,
    maxConcurrentActivityTaskExecutions: settings.slots,
  });

/** Once per process, before anything else of the SDK: its logs on our logger, and signals left to us. */
export function installRuntime(logger: Logger): void {
  Runtime.install({
    logger: createSdkLogger(logger),
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: { level: 'WARN' } } },
    shutdownSignals: [],
  });
}
