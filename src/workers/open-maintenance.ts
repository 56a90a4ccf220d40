/** The maintenance half of a worker of workflows: its activities, and the schedules that call them. */
import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { ActivityDeps } from '../activities/deps.ts';
import { createMaintenanceActivities } from '../activities/maintenance.ts';
import type { MaintenanceActivities } from '../activities/maintenance-contract.ts';
import type { RoleConfig } from '../config/load-config.ts';
import { createMaintenanceStore } from '../storage/maintenance-store.ts';
import type { ControlParts } from './control-parts.ts';
import { ensureMaintenanceSchedules } from './temporal/maintenance-schedules.ts';
import { clientConverter } from './temporal/payload-codec.ts';
import { createRunStarter } from './temporal/run-starter.ts';

const deadlineMs = 10_000;

/** Runs do not depend on it: schedules that cannot be made now are made by the next worker that starts. */
export async function openMaintenance(
  { temporalNamespace: namespace, temporalTaskQueue: taskQueue, temporalPayloadKey }: RoleConfig,
  connection: NativeConnection,
  {
    pool,
    secretBox,
    index,
    ...deps
  }: ControlParts & Pick<ActivityDeps, 'openDestination' | 'drain' | 'logger'>,
): Promise<MaintenanceActivities> {
  const client = new Client({ connection, namespace, ...clientConverter(temporalPayloadKey) });
  await client
    .withDeadline(Date.now() + deadlineMs, () => ensureMaintenanceSchedules(client, taskQueue))
    .catch((err: unknown) => deps.logger.warn({ err }, 'worker: the maintenance schedules are not made yet'));
  return createMaintenanceActivities({
    ...deps,
    store: createMaintenanceStore(pool, secretBox),
    index,
    starter: createRunStarter({ client, taskQueue }),
  });
}
