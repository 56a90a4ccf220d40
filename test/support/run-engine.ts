/**
 * The workflow of a run on a real Temporal, with activities that the test scripts: they are the port between what
 * decides and what does the work. One namespace, one client and the workers that the test wants.
 */
import { randomUUID } from 'node:crypto';
import { Context } from '@temporalio/activity';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import type {
  CopyActivities,
  CopyOutcome,
  PreparedRun,
  RunActivities,
} from '../../src/activities/contract.ts';
import type { MaintenanceActivities } from '../../src/activities/maintenance-contract.ts';
import { newId, type RunId } from '../../src/domain/ids.ts';
import type { Stretch } from '../../src/domain/maintenance.ts';
import type { RunStarter, RunToStart } from '../../src/ports/run-starter.ts';
import {
  createCopyWorker,
  createRunWorker,
  createStepWorker,
  installRuntime,
} from '../../src/workers/temporal/create-worker.ts';
import { createRunStarter } from '../../src/workers/temporal/run-starter.ts';
import { createKeptLogger } from './kept-logger.ts';
import { createNamespace } from './stack.ts';
import { workflowBundlePath } from './workflow-bundle.ts';

export type ScriptedActivities = RunActivities & CopyActivities & MaintenanceActivities;

interface WorkersOptions {
  codePath?: string | undefined;
  workerClass?: string | undefined;
}

export interface RunEngine {
  readonly address: string;
  readonly namespace: string;
  readonly client: Client;
  readonly starter: RunStarter;
  /**
   * Plays these activities from now on; workers that poll already go over to them.
   * Only where no workers poll: `codePath` of a workflow bundle other than the sources', and a class that has workers, too.
   */
  startWorkers(activities: ScriptedActivities, options?: WorkersOptions): Promise<void>;
  stopWorkers(): Promise<void>;
  close(): Promise<void>;
}

export const taskQueue = 'penstock';
/** Where users would reach the API. */
export const publicUrl = 'https://penstock.example.com';

/** At most once per test file; on the shared server unless another is named. */
export async function openRunEngine(server?: string): Promise<RunEngine> {
  installRuntime(createKeptLogger().logger);
  const { address, namespace } = await createNamespace(server);
  const [ownCodePath, connection, native] = await Promise.all([
    workflowBundlePath(),
    Connection.connect({ address }),
    NativeConnection.connect({ address }),
  ]);
  const client = new Client({ connection, namespace, identity: 'test' });
  let polling: { workers: Worker[]; ended: Promise<unknown> } | undefined;
  let script: ScriptedActivities;
  const activities = mapActivities(scriptedActivities().activities, (name) => script[name]);
  const stopWorkers = async () => {
    for (const worker of polling?.workers ?? []) worker.shutdown();
    await polling?.ended;
    polling = undefined;
  };
  return {
    address,
    namespace,
    client,
    starter: createRunStarter({ client, taskQueue, publicUrl }),
    startWorkers: async (next, { codePath = ownCodePath, workerClass } = {}) => {
      script = next;
      if (polling) return;
      const settings = { connection: native, namespace, taskQueue, identity: 'test', slots: 4 };
      const workers = [
        await createRunWorker(settings, activities, { codePath }),
        await createCopyWorker(settings, activities),
        ...(workerClass === undefined
          ? []
          : await createClassWorkers({ ...settings, workerClass }, activities)),
      ];
      polling = { workers, ended: Promise.all(workers.map((worker) => worker.run())) };
    },
    stopWorkers,
    close: async () => {
      await stopWorkers();
      await native.close();
      await connection.close();
    },
  };
}

const createClassWorkers = (
  settings: Parameters<typeof createStepWorker>[0],
  activities: ScriptedActivities,
) => Promise.all([createStepWorker(settings, activities), createCopyWorker(settings, activities)]);

/** A run as admit would start it. */
export function plannedRun(changes: Partial<RunToStart> = {}): RunToStart {
  const runId = `run_${randomUUID()}` as RunId;
  return {
    runId,
    workflowId: `acme:subscribers:${runId}`,
    tenantId: newId('tenant'),
    tenantName: 'acme',
    syncId: newId('sync'),
    syncName: 'subscribers',
    sourceName: 'acme-warehouse',
    mode: 'append',
    origin: 'manual',
    priority: 3,
    workerClass: null,
    dueAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    ...changes,
  };
}

export const handleOf = (engine: RunEngine, run: RunToStart): WorkflowHandle =>
  engine.client.workflow.getHandle(run.workflowId);

/** Starts it as the dispatcher does. */
export async function startRun(engine: RunEngine, run: RunToStart): Promise<WorkflowHandle> {
  await engine.starter.start(run);
  return handleOf(engine, run);
}

/** What the Web UI shows as current details. */
export const detailsOf = async (handle: WorkflowHandle): Promise<string> =>
  (await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata')).currentDetails;

export const readyRun = (changes: Partial<Extract<PreparedRun, { ready: true }>> = {}): PreparedRun => ({
  ready: true,
  loadId: 'lod_1',
  partitions: [1],
  parallel: 1,
  continued: false,
  ...changes,
});

/** 1,000 rows in one batch of 10,000 bytes, on top of what was there. */
export const oneBatch = (changes: Partial<CopyOutcome> = {}): CopyOutcome => ({
  outcome: 'finished',
  rows: 1_000,
  batches: 1,
  bytes: 10_000,
  total: { rows: 1_000, batches: 1, bytes: 10_000 },
  ...changes,
});

/** Stops like a real attempt: heartbeats, and yields after the batch in hand once it is told to. */
export async function copyUntilTold(): Promise<CopyOutcome> {
  const context = Context.current();
  const beat = () => context.heartbeat({ rows: 500, batches: 1, bytes: 5_000 });
  const timer = setInterval(beat, 100);
  beat();
  try {
    await context.cancelled.catch(() => undefined);
    return oneBatch({ outcome: 'yielded' });
  } finally {
    clearInterval(timer);
  }
}

/** Activities of a run that goes well, and of maintenance that finds nothing to do, with their names in order of the calls. */
export function scriptedActivities(changes: Partial<ScriptedActivities> = {}): {
  calls: string[];
  activities: ScriptedActivities;
} {
  const calls: string[] = [];
  const activities: ScriptedActivities = {
    prepareRun: async () => readyRun(),
    copyPartition: async () => oneBatch(),
    finishRun: async () => ({ outcome: 'succeeded', rows: 1_000, batches: 1, bytes: 10_000 }),
    pauseRun: async () => ({ status: 'paused' }),
    failRun: async () => ({ status: 'failed' }),
    cancelRun: async () => ({ status: 'cancelled' }),
    forgetLogs: async () => nothingFound,
    forgetRuns: async () => nothingFound,
    forgetLoads: async () => nothingFound,
    dropOrphans: async () => nothingFound,
    auditControl: async () => nothingFound,
    auditDestinations: async () => nothingFound,
    noteEnd: async () => {},
    ...changes,
  };
  const noted = mapActivities(activities, (name) => {
    calls.push(name);
    return activities[name];
  });
  return { calls, activities: noted };
}

const nothingFound: Stretch = { tally: {} };

/** The same activities, each played by what `play` gives for its name at every call. */
function mapActivities(
  activities: ScriptedActivities,
  play: (name: keyof ScriptedActivities) => (input: never) => unknown,
): ScriptedActivities {
  const names = Object.keys(activities) as (keyof ScriptedActivities)[];
  const mapped = names.map((name) => [name, (input: never) => play(name)(input)]);
  return Object.fromEntries(mapped) as ScriptedActivities;
}
