/** The composition root of a process: builds the roles that it was asked for, and runs them until it is told to end. */
import type { RoleConfig } from '../config/load-config.ts';
import type { Role } from '../config/options.ts';
import { createRowMemory } from '../copy/row-memory.ts';
import { openPostgresDestination } from '../destinations/postgres/postgres-destination.ts';
import { openPostgresSource } from '../sources/postgres/postgres-source.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { createAdapters } from './adapters.ts';
import { createSharedParts, type SharedParts } from './control-parts.ts';
import { runServices, type Service } from './lifecycle.ts';
import type { WorkerKind } from './temporal/create-worker.ts';

export interface StartRequest {
  roles: readonly Role[];
  /** What a worker does; of no meaning without the role. */
  workerKinds: readonly WorkerKind[];
  config: RoleConfig;
}

interface RoleParts {
  config: RoleConfig;
  workerKinds: readonly WorkerKind[];
  parts: SharedParts;
  adapters: ReturnType<typeof createAdapters>;
  logger: Logger;
}

/** Stopped in this order: no run is admitted any more, then the work is drained, and the API answers to the last. */
const stopOrder: readonly Role[] = ['dispatcher', 'worker', 'api'];

/** Each role's code is loaded by the processes that have it: a worker's SDK would cost every API 50 MiB. */
const builders: Record<Role, (parts: RoleParts) => Promise<Service>> = {
  api: async () => {
    throw new Error('not built yet');
  },
  dispatcher: async (parts) => (await import('./dispatcher-role.ts')).createDispatcherRole(parts),
  worker: async ({ workerKinds: kinds, ...parts }) =>
    (await import('./worker-role.ts')).createWorkerRole({ ...parts, kinds }),
};

/** Runs the roles in this process; resolves when they were told to end and have. */
export async function startRoles({ roles, workerKinds, config }: StartRequest): Promise<void> {
  const logger = createLogger({ level: config.logLevel, name: roles.join(',') });
  const parts = createSharedParts(config, logger);
  const memory = createRowMemory();
  const adapters = createAdapters(
    { postgres: (access) => openPostgresSource(access, memory) },
    { postgres: (access) => openPostgresDestination(access) },
  );
  try {
    const services = await Promise.all(
      stopOrder
        .filter((role) => roles.includes(role))
        .map((role) => builders[role]({ config, workerKinds, parts, adapters, logger })),
    );
    await runServices(services, logger);
  } finally {
    await parts.close();
  }
}
