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
import { retryUntilUp } from './retry-until-up.ts';
import {
  createCopyWorker,
  createRunWorker,
  installRuntime,
  type WorkerKind,
} from './temporal/create-worker.ts';
import { registerSearchAttributes } from './temporal/search-attributes.ts';

interface WorkerRoleOptions {
  config: RoleConfig;
  kinds: readonly WorkerKind[];
  parts: SharedParts;
  adapters: Adapters;
  logger: Logger;
}

/** A worker of this process; nothing connects before it starts. */
export function createWorkerRole(options: WorkerRoleOptions): Service {
  const { logger } = options;
  const stopping = new AbortController();
  let fail: (error: unknown) => void = () => undefined;
  const failed = new Promise<never>((_, reject) => (fail = reject));
  failed.catch(() => undefined);
  let connection: NativeConnection | undefined;
  let workers: Worker[] = [];
  let polling: Promise<unknown> = Promise.resolve();

  return {
    name: 'worker',
    failed,
    async start() {
      installRuntime(logger);
      connection = await connect(options, stopping.signal);
      workers = await createWorkers(options, connection, stopping.signal);
      stopping.signal.throwIfAborted();
      polling = Promise.all(workers.map((worker) => worker.run()));
      polling.catch(fail);
    },
    async stop() {
      stopping.abort();
      for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
      try {
        await polling;
      } finally {
        await connection?.close();
      }
    },
    isReady: () => workers.length > 0 && workers.every((worker) => worker.getState() === 'RUNNING'),
  };
}

/** Waits for the server, and for the namespace with its search attributes. */
async function connect(
  { config, logger }: WorkerRoleOptions,
  signal: AbortSignal,
): Promise<NativeConnection> {
  const { temporalAddress: address, temporalNamespace: namespace } = config;
  const connection = await retryUntilUp({ what: `Temporal at ${address}`, logger, signal }, () =>
    NativeConnection.connect({ address }),
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

async function createWorkers(
  { config, kinds, parts, adapters, logger }: WorkerRoleOptions,
  connection: NativeConnection,
  signal: AbortSignal,
): Promise<Worker[]> {
  const runs = kinds.includes('workflows') ? (await parts.open(signal)).runs : await parts.openRuns(signal);
  const identity = `${process.pid}@${hostname()}`;
  const deps: ActivityDeps = { runs, ...adapters, drain: signal, workerName: identity, logger };
  const settings = {
    connection,
    namespace: config.temporalNamespace,
    taskQueue: config.temporalTaskQueue,
    identity,
    slots: config.workerSlots,
  };
  return Promise.all(
    kinds.map((kind) =>
      kind === 'copy'
        ? createCopyWorker(settings, createCopyActivities(deps))
        : createRunWorker(settings, createRunActivities(deps)),
    ),
  );
}
