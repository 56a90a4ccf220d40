/** The composition root of a process: builds the roles that it was asked for, and runs them until it is told to end. */
import type { RoleConfig } from '../config/load-config.ts';
import type { Role } from '../config/options.ts';
import { createHostGuard } from '../config/host-guard.ts';
import { createRowMemory } from '../copy/row-memory.ts';
import { openPostgresDestination } from '../destinations/postgres/postgres-destination.ts';
import { KeptSessions } from '../postgres-client/kept-sessions.ts';
import { openPostgresSource } from '../sources/postgres/postgres-source.ts';
import type { HostGuard } from '../ports/host-guard.ts';
import { createLogger, type Logger } from '../telemetry/logger.ts';
import { createAdapters, type Adapters } from './adapters.ts';
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
  adapters: Adapters;
  hostGuard: HostGuard;
  logger: Logger;
}

/** Stopped in this order: no run is admitted any more, then the work is drained, and the API answers to the last. */
const stopOrder: readonly Role[] = ['dispatcher', 'worker', 'api'];

/** Each role's code is loaded by the processes that have it: a worker's SDK would cost every API 50 MiB. */
const builders: Record<Role, (parts: RoleParts) => Promise<Service>> = {
  api: async (parts) => (await import('./api-role.ts')).createApiRole(parts),
  dispatcher: async (parts) => (await import('./dispatcher-role.ts')).createDispatcherRole(parts),
  worker: async ({ workerKinds: kinds, ...parts }) =>
    (await import('./worker-role.ts')).createWorkerRole({ ...parts, kinds }),
};

/** Runs the roles in this process; resolves when they were told to end and have. */
export async function startRoles({ roles, workerKinds, config }: StartRequest): Promise<void> {
  const logger = createLogger({ level: config.logLevel, name: roles.join(',') });
  const parts = createSharedParts(config, logger);
  const memory = createRowMemory();
  const sessions = new KeptSessions();
  const hostGuard = createHostGuard(config.allowedNetworks);
  const adapters = createAdapters(
    {
      sources: { postgres: (access) => openPostgresSource(access, memory, sessions) },
      destinations: { postgres: (access) => openPostgresDestination(access, { sessions }) },
    },
    hostGuard,
  );
  try {
    const services = await Promise.all(
      stopOrder
        .filter((role) => roles.includes(role))
        .map((role) => builders[role]({ config, workerKinds, parts, adapters, hostGuard, logger })),
    );
    await runServices(services, logger);
  } finally {
    await Promise.all([parts.close(), sessions.close()]);
    endIfHeld(logger);
  }
}

/** Nothing of ours is open any more, but a connect of the SDK's cannot be cancelled: it may hold the process for 30 s. */
function endIfHeld(logger: Logger): void {
  const end = (): void => {
    logger.warn({ held: process.getActiveResourcesInfo() }, 'something still holds the process: it is ended');
    process.exit();
  };
  setTimeout(end, 2_000).unref();
}
