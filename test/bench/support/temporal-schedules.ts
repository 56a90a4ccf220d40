/** Temporal's own Schedules, as a peer. */
import type { Client } from '@temporalio/client';
import { runQueueOf, syncRunType } from '../../../src/workflows/names.ts';
import { taskQueue } from './engine-starts.ts';

/** Creates so many that each start one workflow at an instant, a whole second. */
export async function plantTemporalSchedules(client: Client, count: number, dueMs: number): Promise<void> {
  const at = new Date(dueMs);
  const months = [
    'JANUARY',
    'FEBRUARY',
    'MARCH',
    'APRIL',
    'MAY',
    'JUNE',
    'JULY',
    'AUGUST',
    'SEPTEMBER',
    'OCTOBER',
    'NOVEMBER',
    'DECEMBER',
  ] as const;
  const calendar = {
    year: at.getUTCFullYear(),
    month: months[at.getUTCMonth()]!,
    dayOfMonth: at.getUTCDate(),
    hour: at.getUTCHours(),
    minute: at.getUTCMinutes(),
    second: at.getUTCSeconds(),
  };
  let left = count;
  const create = async (): Promise<void> => {
    for (let n = left--; n > 0; n = left--)
      await client.schedule.create({
        scheduleId: `schedule-${n}`,
        spec: { calendars: [calendar], timezone: 'UTC' },
        action: {
          type: 'startWorkflow',
          workflowType: syncRunType,
          taskQueue: runQueueOf(taskQueue),
          args: [{ runId: 'run_bare' }],
        },
      });
  };
  await Promise.all(Array.from({ length: 32 }, create));
}
