/**
 * The Temporal Schedules of our own maintenance, one a job. Workers make them when they start, and bring those that are there
 * to what this version wants; one that an operator has paused stays paused.
 */
import { createHash } from 'node:crypto';
import { type Client, ScheduleAlreadyRunning, type ScheduleOptions } from '@temporalio/client';
import { maintenanceJobs, type MaintenanceJob } from '../../domain/maintenance.ts';
import type { AuditInput } from '../../workflows/maintenance.ts';
import { maintenanceTypes, runQueueOf } from '../../workflows/names.ts';

const settle: AuditInput = { settleMs: 60_000 };

/** At night, in UTC, and the audit every hour. Missed while the server was away: once, when it is back, if not too late. */
const plans = {
  retention: {
    what: 'forgets what is older than it is kept',
    spec: { calendars: [{ hour: 3, minute: 17 }], jitter: '30m' },
    catchupWindow: '12h',
    args: [],
  },
  orphans: {
    what: 'drops what is left of loads and runs that are over',
    spec: { calendars: [{ hour: 4, minute: 17 }], jitter: '30m' },
    catchupWindow: '12h',
    args: [],
  },
  audit: {
    what: 'looks whether the invariants hold',
    spec: { intervals: [{ every: '1h' }], jitter: '10m' },
    catchupWindow: '10m',
    args: [settle],
  },
} as const satisfies Record<MaintenanceJob, object>;

/** Two installations may share a namespace; their task queues differ. */
export const scheduleIdOf = (taskQueue: string, job: MaintenanceJob): string => `${taskQueue}-${job}`;

function optionsOf(taskQueue: string, job: MaintenanceJob): ScheduleOptions {
  const { what, spec, catchupWindow, args } = plans[job];
  const scheduleId = scheduleIdOf(taskQueue, job);
  return {
    scheduleId,
    spec: {
      ...spec,
      ...('calendars' in spec && { calendars: [...spec.calendars] }),
    } as ScheduleOptions['spec'],
    action: {
      type: 'startWorkflow',
      workflowId: scheduleId,
      workflowType: maintenanceTypes[job],
      taskQueue: runQueueOf(taskQueue),
      args: [...args],
      workflowRunTimeout: '12h',
      workflowTaskTimeout: '10s',
      staticSummary: `Penstock ${job}: ${what}`,
    },
    policies: { overlap: 'SKIP', catchupWindow, pauseOnFailure: false },
  };
}

/** Makes or updates all of them. Safe to repeat, by any number of processes. */
export async function ensureMaintenanceSchedules(client: Client, taskQueue: string): Promise<void> {
  for (const job of maintenanceJobs) await ensureSchedule(client, optionsOf(taskQueue, job));
}

async function ensureSchedule({ schedule }: Client, options: ScheduleOptions): Promise<void> {
  const { scheduleId, ...wanted } = options;
  const note = `Made by Penstock; options ${fingerprint(wanted)}`;
  try {
    await schedule.create({ ...options, state: { note } });
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const handle = schedule.getHandle(scheduleId);
    const { state } = await handle.describe();
    if (state.note === note) return;
    // Whoever pauses it replaces the note by his own, which he will look for.
    await handle.update(({ state }) => ({
      ...wanted,
      state: { ...state, note: state.paused ? state.note : note },
    }));
  }
}

const fingerprint = (options: object): string =>
  createHash('sha256').update(JSON.stringify(options)).digest('hex').slice(0, 8);
