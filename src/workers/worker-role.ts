/**
 * The role that does the work: connects to Temporal and polls. On the way out it tells the attempts first (the drain),
 * stops polling at once, and leaves when the batches in hand are committed, so that another worker goes on.
 */
import { hostname } from 'node:os';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { createCopyActivities, createRunActivities } from '../activities/create-activities.ts';
import type { ActivityDeps } from '../activities/deps.ts';
import type { RoleConfig } from '../config/load-config.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Adapters } from './adapters.ts';
import type { SharedParts } from './control-parts.ts';
import type { Service } from './lifecycle.ts';
import { openMaintenance } from './open-maintenance.ts';
import { retryUntilUp } from './retry-until-up.ts';
import {
  createCopyWorker,
  createRunWorker,
  createStepWorker,
  installRuntime,
  type WorkerKind,
} from './temporal/create-worker.ts';
import { registerSearchAttributes } from './temporal/search-attributes.ts';
import { connectionOptions, temporalAccessOf } from './temporal/temporal-access.ts';

interface WorkerRoleOptions {
  config: RoleConfig;
  kinds: readonly WorkerKind[];
  parts: SharedParts;
  adapters: Adapters;
  logger: Logger;
}

/** A worker of this process; nothing connects before it starts. */
export function createWorkerRole(options: WorkerRoleOptions): Service {
  const { logger, kinds } = options;
  const draining = new AbortController();
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => undefined);
  let connection: NativeConnection | undefined;
  const workers: Worker[] = [];
  const polling: Promise<void>[] = [];

  return {
    name: 'worker',
    failed,
    async start(stopping) {
      installRuntime(logger);
      connection = await connect(options, stopping);
      const create = await prepareToCreate(options, connection, { stopping, draining: draining.signal });
      for (const kind of kinds) {
        stopping.throwIfAborted();
        const worker = await create(kind);
        workers.push(worker);
        // At once: a worker that was created lets go of its connection and its threads only by running to its end.
        const run = worker.run();
        run.catch(fail);
        polling.push(run);
      }
    },
    async stop() {
      draining.abort();
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      const ends = await Promise.allSettled(polling);
      await connection?.close();
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
    isReady: () =>
      workers.length === kinds.length && workers.every((worker) => worker.getState() === 'RUNNING'),
  };
}

/** Waits for the server, and for the namespace with its search attributes. */
async function connect(
  { config, logger }: WorkerRoleOptions,
  signal: AbortSignal,
): Promise<NativeConnection> {
  const access = temporalAccessOf(config);
  const { address, namespace } = access;
  const connection = await retryUntilUp(
    { what: `Temporal at ${address}`, logger, signal },
    () => NativeConnection.connect(connectionOptions(access)),
    (late) => late.close(),
  );
  try {
    await retryUntilUp({ what: `Temporal namespace ${namespace}`, logger, signal }, () =>
      registerSearchAttributes(connection, namespace),
    );
    return connection;
  } catch (error) {
    await connection.close();
    throw error;
  }
}

/** Waits for the control database; then workers can be created. */
async function prepareToCreate(
  { config, kinds, parts, adapters, logger }: WorkerRoleOptions,
  connection: NativeConnection,
  { stopping, draining }: { stopping: AbortSignal; draining: AbortSignal },
): Promise<(kind: WorkerKind) => Promise<Worker>> {
  // Who ends runs gives their places back.
  const control = kinds.some((kind) => kind !== 'copy') ? await parts.open(stopping) : undefined;
  const runs = control?.runs ?? (await parts.openRuns(stopping));
  const identity = `${process.pid}@${hostname()}`;
  const { rowTimeout: rowTimeoutMs } = config;
  const deps: ActivityDeps = {
    runs,
    ...adapters,
    drain: draining,
    rowTimeoutMs,
    workerName: identity,
    logger,
  };
  const maintenance =
    kinds.includes('workflows') && control
      ? await openMaintenance(config, connection, { ...deps, ...control })
      : undefined;
  const settings = {
    connection,
    namespace: config.temporalNamespace,
    taskQueue: config.temporalTaskQueue,
    workerClass: config.workerClass,
    identity,
    slots: config.workerSlots,
    payloadKeys: config.temporalPayloadKey,
  };
  const creators: Record<WorkerKind, () => Promise<Worker>> = {
    copy: () => createCopyWorker(settings, createCopyActivities(deps)),
    steps: () => createStepWorker(settings, createRunActivities(deps)),
    workflows: () => createRunWorker(settings, { ...createRunActivities(deps), ...maintenance }),
  };
  return (kind) => creators[kind]();
}
