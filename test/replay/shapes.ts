/** Workflows of every shape whose histories are kept: each is played once on a real server and then replayed for ever. */
import { ApplicationFailure } from '@temporalio/common';
import type { WorkflowHandle } from '@temporalio/client';
import type { PreparedRun } from '../../src/activities/contract.ts';
import type { BrokenInvariant, MaintenanceJob } from '../../src/domain/maintenance.ts';
import type { RunToStart } from '../../src/ports/run-starter.ts';
import type { AuditInput } from '../../src/workflows/maintenance.ts';
import { maintenanceTypes, runQueueOf } from '../../src/workflows/names.ts';
import type { RunProgress } from '../../src/workflows/run-progress.ts';
import {
  copyUntilTold,
  oneBatch,
  plannedRun,
  readyRun,
  type RunEngine,
  type ScriptedActivities,
  scriptedActivities,
  startRun,
  taskQueue,
} from '../support/run-engine.ts';
import { waitUntil } from '../support/wait-until.ts';

/** What is done to a run while it is at work. */
interface Playing {
  engine: RunEngine;
  run: RunToStart;
  handle: WorkflowHandle;
  /** Names of the activities called so far. */
  calls: string[];
}

interface Shape {
  activities: (calls: () => readonly string[]) => Partial<ScriptedActivities>;
  /** A job of our own maintenance, instead of a run. */
  job?: MaintenanceJob;
  /** Of the run's source. */
  workerClass?: string;
  play?: (playing: Playing) => Promise<void>;
}

const nothing = { rows: 0, batches: 0, bytes: 0 };
const copied = (calls: readonly string[]): number => calls.filter((name) => name === 'copyPartition').length;
const prepared = (calls: readonly string[]): number => calls.filter((name) => name === 'prepareRun').length;

const untilCopying = ({ calls }: Playing) => waitUntil('it copies', () => calls.includes('copyPartition'));
const untilPaused = ({ handle }: Playing) =>
  waitUntil('it is paused', async () => (await handle.query<RunProgress>('progress')).phase === 'paused');

const brokenLease: BrokenInvariant = { invariant: 'lease_has_load', object: 'lod_1/1' };

export const shapes: Readonly<Record<string, Shape>> = {
  success: { activities: () => ({}) },
  'worker-class': { workerClass: 'eu', activities: () => ({}) },
  'many-partitions': {
    activities: () => ({
      prepareRun: async () => readyRun({ partitions: [1, 2, 3, 4, 5], parallel: 2 }),
    }),
  },
  'two-partitions': {
    activities: (calls) => ({
      prepareRun: async () => readyRun({ partitions: [1, 2], parallel: 2 }),
      copyPartition: async ({ partition }) =>
        partition === 1 && copied(calls()) < 3
          ? {
              outcome: 'yielded',
              ...nothing,
              failure: { code: 'DESTINATION_UNREACHABLE', message: 'connection refused' },
            }
          : oneBatch(),
    }),
  },
  yield: {
    activities: (calls) => ({
      copyPartition: async () => oneBatch({ outcome: copied(calls()) < 3 ? 'yielded' : 'finished' }),
    }),
  },
  retry: {
    activities: (calls) => ({
      copyPartition: async () =>
        copied(calls()) < 3
          ? {
              outcome: 'yielded',
              ...nothing,
              failure: { code: 'SOURCE_UNREACHABLE', message: 'connection refused' },
            }
          : oneBatch(),
    }),
  },
  'retry-of-prepare': {
    activities: (calls) => ({
      prepareRun: async (): Promise<PreparedRun> => {
        if (prepared(calls()) > 1) return readyRun();
        throw ApplicationFailure.retryable('connection refused', 'DESTINATION_UNREACHABLE');
      },
    }),
  },
  failure: {
    activities: () => ({
      copyPartition: () =>
        Promise.reject(ApplicationFailure.nonRetryable('column x is missing', 'TARGET_MISMATCH')),
    }),
  },
  'failure-before-copying': {
    activities: () => ({
      prepareRun: () => Promise.reject(ApplicationFailure.nonRetryable('no such table', 'SOURCE_SQL')),
    }),
  },
  pause: {
    activities: (calls) => ({
      copyPartition: () => (copied(calls()) === 1 ? copyUntilTold() : Promise.resolve(oneBatch())),
    }),
    play: async (playing) => {
      await untilCopying(playing);
      await playing.engine.starter.pause(playing.run.workflowId);
      await untilPaused(playing);
      await playing.engine.starter.resume(playing.run.workflowId);
    },
  },
  cancel: {
    activities: () => ({ copyPartition: copyUntilTold }),
    play: async (playing) => {
      await untilCopying(playing);
      await playing.engine.starter.cancel(playing.run.workflowId);
    },
  },
  'cancel-while-paused': {
    activities: () => ({ prepareRun: async () => ({ ready: false, status: 'paused' }) }),
    play: async (playing) => {
      await untilPaused(playing);
      await playing.engine.starter.cancel(playing.run.workflowId);
    },
  },
  'max-duration': {
    activities: () => ({
      prepareRun: async () => readyRun({ maxDurationMs: 50 }),
      copyPartition: copyUntilTold,
    }),
  },
  'earlier-load-first': {
    activities: (calls) => ({
      finishRun: async () => ({
        outcome: prepared(calls()) === 1 ? 'another' : 'succeeded',
        rows: 1_000,
        batches: 1,
        bytes: 10_000,
      }),
    }),
  },
  fenced: {
    activities: (calls) => ({
      copyPartition: async () => (copied(calls()) === 1 ? { outcome: 'fenced', ...nothing } : oneBatch()),
    }),
  },
  'continue-as-new': {
    activities: (calls) => ({
      copyPartition: async () => {
        const n = copied(calls());
        const total = { rows: 1_000 * n, batches: n, bytes: 10_000 * n };
        return oneBatch({ outcome: n < 12 ? 'yielded' : 'finished', total });
      },
    }),
  },
  retention: {
    job: 'retention',
    activities: () => ({
      forgetRuns: async ({ after }) => ({
        tally: { runs: 2 },
        ...(after !== 'b' && { next: after ? 'b' : 'a' }),
      }),
    }),
  },
  'retention-without-end': {
    job: 'retention',
    activities: () => ({ forgetLoads: async () => ({ tally: { forgotten: 1 }, next: 'more' }) }),
  },
  'retention-fails': {
    job: 'retention',
    activities: () => ({
      forgetRuns: () => Promise.reject(ApplicationFailure.nonRetryable('permission denied', 'INTERNAL')),
    }),
  },
  orphans: { job: 'orphans', activities: () => ({ dropOrphans: async () => ({ tally: { tables: 1 } }) }) },
  audit: { job: 'audit', activities: () => ({}) },
  'audit-finds': {
    job: 'audit',
    activities: () => ({ auditDestinations: async () => ({ tally: {}, broken: [brokenLease] }) }),
  },
};

/** From this many events on a server that records `continue-as-new` suggests it. */
export const suggestedEvents = 40;

/** Plays one shape to its end. Returns the handle of its workflow. */
export async function playShape(engine: RunEngine, name: string): Promise<WorkflowHandle> {
  const shape = shapes[name]!;
  const { calls, activities } = scriptedActivities(shape.activities(() => calls));
  await engine.startWorkers(activities, { workerClass: shape.workerClass });
  try {
    if (shape.job) return await playJob(engine, shape.job);
    const run = plannedRun({ workerClass: shape.workerClass ?? null });
    const handle = await startRun(engine, run);
    await shape.play?.({ engine, run, handle, calls });
    await handle.result().catch(() => undefined);
    return handle;
  } finally {
    await engine.stopWorkers();
  }
}

async function playJob({ client }: RunEngine, job: MaintenanceJob): Promise<WorkflowHandle> {
  const handle = await client.workflow.start(maintenanceTypes[job], {
    workflowId: `${taskQueue}-${job}`,
    taskQueue: runQueueOf(taskQueue),
    args: [{ settleMs: 10 } satisfies AuditInput],
  });
  await handle.result().catch(() => undefined);
  return handle;
}
