/** The role that turns due times into started runs, and finds those that were left behind. */
import type { Client } from '@temporalio/client';
import { closeGoneRun } from '../activities/close-gone-run.ts';
import type { RoleConfig } from '../config/load-config.ts';
import { createDispatcher, type Dispatcher, type DispatcherOptions } from '../schedule/dispatcher.ts';
import { fetchFormerDestinations } from '../storage/connection-access.ts';
import { createScheduleStore } from '../storage/schedule-store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Adapters } from './adapters.ts';
import type { SharedParts } from './control-parts.ts';
import type { Service } from './lifecycle.ts';
import { connectClient } from './temporal/connect-client.ts';
import { createRunStarter } from './temporal/run-starter.ts';
import { temporalAccessOf } from './temporal/temporal-access.ts';

interface DispatcherRoleOptions {
  config: RoleConfig;
  parts: SharedParts;
  adapters: Pick<Adapters, 'openDestination'>;
  logger: Logger;
  /** For tests that cannot wait for what takes a minute. */
  timings?: Omit<DispatcherOptions, 'globalCap'>;
}

/** A dispatcher of this process; any number of processes may have one. */
export function createDispatcherRole(options: DispatcherRoleOptions): Service {
  const { config, parts, adapters, logger, timings } = options;
  let client: Client | undefined;
  let dispatcher: Dispatcher | undefined;
  return {
    name: 'dispatcher',
    async start(stopping) {
      const { pool, secretBox, index, runs } = await parts.open(stopping);
      client = connectClient(temporalAccessOf(config));
      const starting = createDispatcher({
        index,
        store: createScheduleStore(pool),
        starter: createRunStarter({
          client,
          taskQueue: config.temporalTaskQueue,
          ...(config.publicUrl !== undefined && { publicUrl: config.publicUrl }),
        }),
        log: logger,
        closeRun: async (runId) => {
          const status = await closeGoneRun({ runs, ...adapters }, runId);
          logger.warn({ run: runId, status }, 'made a run final that its workflow did not');
        },
        releaseSync: async (syncId) => {
          for (const access of await fetchFormerDestinations(pool, secretBox, syncId)) {
            const destination = adapters.openDestination(access);
            try {
              await destination.releaseSync(syncId);
            } finally {
              await destination.close();
            }
          }
          logger.info({ sync: syncId }, 'a deleted sync has given up its tables');
        },
        options: { globalCap: config.workerSlots, ...timings },
      });
      await starting.start();
      dispatcher = starting;
    },
    async stop() {
      await dispatcher?.stop();
      await client?.connection.close();
    },
    isReady: () => dispatcher !== undefined,
  };
}
