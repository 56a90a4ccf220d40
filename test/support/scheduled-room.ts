/**
 * A copying room whose runs are started by a dispatcher, which also holds their places and makes runs final whose
 * workflow is gone; it looks sooner than it would at what is silent.
 */
import { loadRoleConfig } from '../../src/config/load-config.ts';
import { createHostGuard } from '../../src/config/host-guard.ts';
import { openPostgresDestination } from '../../src/destinations/postgres/postgres-destination.ts';
import type { RunId } from '../../src/domain/ids.ts';
import { createAdapters } from '../../src/workers/adapters.ts';
import { createSharedParts } from '../../src/workers/control-parts.ts';
import { createDispatcherRole } from '../../src/workers/dispatcher-role.ts';
import { openPostgresSource } from '../../src/sources/postgres/postgres-source.ts';
import { createRowMemory } from '../../src/copy/row-memory.ts';
import { createCopyingRoom, type CopyingRoom, type StartedRun } from './copying-room.ts';
import { createKeptLogger } from './kept-logger.ts';
import { waitUntil } from './wait-until.ts';

/** A run with its workflow. */
export type ScheduledRun = Pick<StartedRun, 'runId' | 'workflowId' | 'handle' | 'fetch'>;

export interface ScheduledRoom extends Omit<CopyingRoom, 'startRun' | 'startDue' | 'resumeRun'> {
  /** Triggers the sync. */
  trigger(sync: string): Promise<ScheduledRun>;
  /** The same, and waits until a workflow has taken the run up. */
  startRun(sync: string): Promise<ScheduledRun>;
  /** The runs that hold a place, as admission counts them. */
  fetchPlaces(): Promise<readonly RunId[]>;
}

const timings = { sweepEveryMs: 200, silentMs: 1_000, ticketMs: 2_000 } as const;

/** @param options `places` in all; the address of a Temporal server that is not the shared one */
export async function createScheduledRoom(
  options: { places?: number; temporalAddress?: string } = {},
): Promise<ScheduledRoom> {
  const room = await createCopyingRoom(options.temporalAddress);
  const { logger } = createKeptLogger();
  const config = {
    ...loadRoleConfig(['dispatcher'], { env: room.environment }),
    ...(options.places !== undefined && { workerSlots: options.places }),
  };
  const parts = createSharedParts(config, logger);
  const adapters = createAdapters(
    {
      sources: { postgres: (access) => openPostgresSource(access, createRowMemory()) },
      destinations: { postgres: (access) => openPostgresDestination(access) },
    },
    createHostGuard(config.allowedNetworks),
  );
  const dispatcher = createDispatcherRole({ config, parts, adapters, logger, timings });
  await dispatcher.start(new AbortController().signal);
  const { index } = await parts.open(new AbortController().signal);
  room.tell(index);
  const trigger = async (sync: string): Promise<ScheduledRun> => {
    const request = { requestKey: undefined, priority: undefined };
    const { run } = await room.store.runs.trigger(room.scope, sync, request);
    return {
      runId: run.id,
      workflowId: run.workflowId,
      handle: room.client.workflow.getHandle(run.workflowId),
      fetch: () => room.store.runs.fetch(room.scope, run.id),
    };
  };
  return {
    ...room,
    trigger,
    startRun: async (sync) => {
      const run = await trigger(sync);
      await waitUntil('the run is at work', async () => !isWaiting.has((await run.fetch()).status));
      return run;
    },
    fetchPlaces: () => index.fetchPlaces(),
    close: async () => {
      await dispatcher.stop();
      await parts.close();
      await room.close();
    },
  };
}

const isWaiting: ReadonlySet<string> = new Set(['queued', 'starting']);
