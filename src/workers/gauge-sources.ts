/** What the API's metrics show beside its own requests: runs, maintenance and the fleet, each asked of who knows it. */
import type { Pool } from 'pg';
import { invariants } from '../domain/maintenance.ts';
import type { Fleet } from '../ports/fleet.ts';
import type { IndexRepair } from '../ports/schedule-index.ts';
import { fetchLastPasses, countOpenRuns } from '../storage/installation-state.ts';
import type { GaugeSource } from '../telemetry/gauges.ts';

/** Runs that are not final, by status: those `queued` that could start are what more workers are for. */
export const runGauges = (pool: Pool): GaugeSource => ({
  families: {
    penstock_runs_open: { help: 'Runs that are not final', labels: ['status'] },
    penstock_runs_ready: { help: 'Queued runs that are due and wait for a place', labels: [] },
  },
  read: async () => {
    const { byStatus, ready } = await countOpenRuns(pool);
    return {
      penstock_runs_open: Object.entries(byStatus).map(([status, value]) => ({ labels: { status }, value })),
      penstock_runs_ready: [{ labels: {}, value: ready }],
    };
  },
});

/** The last pass of each maintenance job. */
export const maintenanceGauges = (pool: Pool): GaugeSource => ({
  families: {
    penstock_maintenance_end_timestamp_seconds: {
      help: 'When the last pass of a maintenance job went through',
      labels: ['job'],
    },
    penstock_maintenance_counted: { help: 'What that pass has counted', labels: ['job', 'what'] },
    penstock_invariants_broken: { help: 'Findings of the last audit', labels: ['invariant'] },
  },
  read: async () => {
    const passes = await fetchLastPasses(pool);
    const audit = passes.find(({ job }) => job === 'audit');
    return {
      penstock_maintenance_end_timestamp_seconds: passes.map(({ job, endedAtSeconds }) => ({
        labels: { job },
        value: endedAtSeconds,
      })),
      penstock_maintenance_counted: passes
        .filter((pass) => pass !== audit)
        .flatMap(({ job, tally }) =>
          Object.entries(tally).map(([what, value]) => ({ labels: { job, what }, value })),
        ),
      penstock_invariants_broken: audit
        ? invariants.map((invariant) => ({ labels: { invariant }, value: audit.tally[invariant] ?? 0 }))
        : [],
    };
  },
});

/** Schedules that the index had lost or put off, and that were found by comparing it with the rows. */
export const indexGauges = (index: () => Pick<IndexRepair, 'fetchDrift'>): GaugeSource => ({
  families: {
    penstock_index_drift: {
      help: 'Schedules found missing or late in Redis since it was lost for the last time',
      labels: ['drift'],
    },
  },
  read: async () => ({
    penstock_index_drift: Object.entries(await index().fetchDrift()).map(([drift, value]) => ({
      labels: { drift },
      value,
    })),
  }),
});

/** What waits for a worker, and how many poll for it: what a fleet is scaled by. */
export const fleetGauges = (fleet: Fleet): GaugeSource => ({
  families: {
    penstock_task_queue_backlog: { help: 'Tasks that wait for a worker, about', labels: ['queue', 'work'] },
    penstock_task_queue_backlog_age_seconds: {
      help: 'How long the oldest of them has waited',
      labels: ['queue', 'work'],
    },
    penstock_task_queue_pollers: { help: 'Processes that poll', labels: ['queue', 'work'] },
  },
  read: async () => {
    const { workers, queues } = await fleet.describe();
    const each = (valueOf: (queue: (typeof queues)[number]) => number) =>
      queues.map((queue) => ({ labels: { queue: queue.name, work: queue.work }, value: valueOf(queue) }));
    return {
      penstock_task_queue_backlog: each(({ backlog }) => backlog),
      penstock_task_queue_backlog_age_seconds: each(({ backlogAgeMs }) => backlogAgeMs / 1_000),
      penstock_task_queue_pollers: each(
        ({ work, workerClass }) =>
          workers.filter((worker) => worker.workerClass === workerClass && worker.polls.includes(work))
            .length,
      ),
    };
  },
});
