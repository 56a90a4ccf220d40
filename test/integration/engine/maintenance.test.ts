/** Our own maintenance on a real Temporal, with a real worker: made at its start, seen in the Web UI, and bounded. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ScheduleDescription } from '@temporalio/client';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { newId } from '../../../src/domain/ids.ts';
import { maintenanceJobs, type MaintenanceJob, type Tally } from '../../../src/domain/maintenance.ts';
import { createRedisIndex } from '../../../src/schedule/redis-index.ts';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import {
  ensureMaintenanceSchedules,
  scheduleIdOf,
} from '../../../src/workers/temporal/maintenance-schedules.ts';
import { maintenanceTypes } from '../../../src/workflows/names.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { waitUntil } from '../../support/wait-until.ts';

const taskQueue = 'penstock';

let room: CopyingRoom;
beforeAll(async () => {
  room = await createCopyingRoom();
  await room.source.query(
    'create table small as select id from generate_series(1, 9) id; alter table small add primary key (id)',
  );
  await room.addSync({ name: 'small', mode: 'upsert', key: ['id'] });
  await room.startWorker();
  await waitUntil('the schedules are there', async () => {
    await Promise.all(maintenanceJobs.map(describeSchedule));
    return true;
  });
});
afterAll(() => room?.close());

const handleOf = (job: MaintenanceJob) => room.client.schedule.getHandle(scheduleIdOf(taskQueue, job));
const describeSchedule = (job: MaintenanceJob): Promise<ScheduleDescription> => handleOf(job).describe();

let started = 0;
/** Runs a job as its schedule would, and returns what it counted. */
async function runJob(job: MaintenanceJob, { settleMs = 1 } = {}): Promise<Tally> {
  const handle = await room.client.workflow.start(maintenanceTypes[job], {
    workflowId: `${job}-${++started}`,
    taskQueue,
    args: [{ settleMs }],
  });
  const tally = (await handle.result()) as Tally;
  expect((await handle.fetchHistory()).events!.length).toBeLessThan(60);
  return tally;
}

const lastPass = async (job: MaintenanceJob): Promise<unknown> =>
  (await room.control.query('select tally from penstock.maintenance where job = $1', [job])).rows[0]?.tally;

describe('the schedules', () => {
  test.each(maintenanceJobs)(
    'of %s skips what overlaps, catches up once, and says what it does',
    async (job) => {
      const { action, policies, state } = await describeSchedule(job);
      expect(action).toMatchObject({ workflowType: maintenanceTypes[job], taskQueue });
      expect(action.staticSummary).toContain(`Penstock ${job}`);
      expect(policies).toMatchObject({ overlap: 'SKIP', pauseOnFailure: false });
      expect(policies.catchupWindow).toBeLessThanOrEqual(12 * 3_600_000);
      expect(state.paused).toBe(false);
    },
  );

  test('are left alone by the next worker, and brought back to what this version wants', async () => {
    const before = (await describeSchedule('audit')).info.lastUpdatedAt;
    await ensureMaintenanceSchedules(room.client, taskQueue);
    expect((await describeSchedule('audit')).info.lastUpdatedAt).toEqual(before);
    await handleOf('audit').update((was) => ({
      ...was,
      spec: { intervals: [{ every: '7d' }] },
      state: { ...was.state, note: 'Made by Penstock; options of an older version' },
    }));
    await ensureMaintenanceSchedules(room.client, taskQueue);
    expect((await describeSchedule('audit')).spec.intervals).toMatchObject([{ every: 3_600_000 }]);
  });

  test('that an operator has paused stay paused, with his note', async () => {
    await handleOf('orphans').pause('not during the move');
    await ensureMaintenanceSchedules(room.client, taskQueue);
    expect((await describeSchedule('orphans')).state).toMatchObject({
      paused: true,
      note: 'not during the move',
    });
    await handleOf('orphans').unpause();
  });

  test('are made by many workers at once, once', async () => {
    await Promise.all(Array.from({ length: 5 }, () => ensureMaintenanceSchedules(room.client, 'other')));
    for (const job of maintenanceJobs)
      expect(
        (await room.client.schedule.getHandle(scheduleIdOf('other', job)).describe()).action.taskQueue,
      ).toBe('other');
  });

  test('run the job that they are of: what was run last, and when, is kept', async () => {
    await handleOf('retention').trigger();
    await waitUntil('it has gone through', async () => (await lastPass('retention')) !== undefined);
    const [action] = (await describeSchedule('retention')).info.recentActions;
    const { workflowId } = action!.action.workflow;
    expect(workflowId).toContain('penstock-retention');
    expect(await room.client.workflow.getHandle(workflowId).result()).toEqual(await lastPass('retention'));
  });
});

/** A run that succeeds, and its load. */
async function finishRun(): Promise<{ runId: string; loadId: string }> {
  const { runId, handle } = await room.startRun('small');
  await handle.result();
  return { runId, loadId: await loadOf(`finished_by = '${runId}'`) };
}

const loadOf = async (where: string): Promise<string> =>
  (await room.destination.query<{ id: string }>(`select id from _penstock.load where ${where}`)).rows[0]!.id;

/** A sync whose first run fails at its 300th row, and leaves its load open. */
async function plantOpenLoad(name: string): Promise<{ runId: string; loadId: string }> {
  await room.source.query(
    `create table ${name} as select id from generate_series(1, 400) id; alter table ${name} add primary key (id)`,
  );
  await room.destination.query(
    `create table synced.${name} (id integer primary key constraint small check (id < 300))`,
  );
  await room.addSync({ name, mode: 'append', key: ['id'], limits: { batchRows: 100 } });
  const run = await room.startRun(name);
  await expect(run.handle.result()).rejects.toThrow();
  return { runId: run.runId, loadId: await loadOf(`opened_by = '${run.runId}'`) };
}

const checkpointsOf = async (loadId: string): Promise<number> =>
  (await room.destination.query('select from _penstock.checkpoint where load = $1', [loadId])).rowCount ?? 0;

/** What is counted from here on is what these tests' own jobs find, also where a full hour passes. */
const stopSchedules = () => Promise.all(maintenanceJobs.map((job) => handleOf(job).pause('by the test')));

describe('retention', () => {
  beforeAll(() => stopSchedules());

  test('forgets what is over in both databases, and nothing of an open load, however old', async () => {
    await finishRun();
    const open = await plantOpenLoad('broken');
    await room.control.query(
      `update penstock.run set queued_at = now() - interval '2 years', due_at = now() - interval '2 years',
         started_at = now() - interval '2 years', ended_at = now() - interval '2 years'`,
    );
    await room.destination.query(
      `update _penstock.load set opened_at = now() - interval '2 years', closed_at = closed_at - interval '2 years';
       update _penstock.run set first_seen_at = now() - interval '2 years';
       update _penstock.checkpoint set committed_at = now() - interval '2 years'`,
    );
    expect(await runJob('retention')).toMatchObject({ runs: 2, destinations: 1 });
    await runJob('orphans');
    expect((await room.control.query('select from penstock.run')).rowCount).toBe(0);
    const { rows } = await room.destination.query('select id from _penstock.load');
    expect(rows).toEqual([{ id: open.loadId }]);
    expect(await checkpointsOf(open.loadId)).toBe(2);
    await room.destination.query('alter table synced.broken drop constraint small');
    const next = await room.startRun('broken');
    await next.handle.result();
    expect((await next.fetch()).receipt).toMatchObject({ read: 400 });
    expect((await room.destination.query('select from synced.broken')).rowCount).toBe(400);
  });

  test('counts a destination that does not answer, and does the others', async () => {
    await room.store.connections.create(room.scope, {
      name: 'gone',
      kind: 'postgres',
      tls: { mode: 'disable' },
      host: '127.0.0.1',
      port: 1,
      database: 'none',
      user: 'none',
      password: 'none',
    });
    await room.addSync({
      name: 'to_gone',
      mode: 'append',
      key: ['id'],
      destination: { connection: 'gone', table: 'a.b' },
    });
    expect(await runJob('retention')).toMatchObject({ destinations: 1, unreachable: 1 });
  });
});

describe('orphans', () => {
  beforeAll(() => stopSchedules());

  test('of what is over go: leases, tables, and runs that only the control database knows to be final', async () => {
    const { runId, loadId } = await plantOpenLoad('orphaned');
    const done = await finishRun();
    await room.control.query(`update penstock.run set ended_at = now() - interval '1 hour'`);
    await room.destination.query(
      `create table _penstock."${done.loadId}" (); create table _penstock."seen_${loadId}" ();
       update _penstock.run set final = false, first_seen_at = now() - interval '2 hours' where id = '${runId}';
       update _penstock.lease set run = '${runId}' where load = '${loadId}'`,
    );
    expect(await runJob('orphans')).toMatchObject({ runs: 1, tables: 1 });
    const state = await room.destination.query(
      `select (select final from _penstock.run where id = $1) as final,
         (select run from _penstock.lease where load = $2) as run,
         to_regclass('_penstock."${done.loadId}"') is null as dropped,
         to_regclass('_penstock."seen_${loadId}"') is null as lost`,
      [runId, loadId],
    );
    // What bears an open load's name stays.
    expect(state.rows).toEqual([{ final: true, run: null, dropped: true, lost: false }]);
    await room.destination.query(`drop table _penstock."seen_${loadId}"`);
  });
});

describe('the audit', () => {
  beforeAll(() => stopSchedules());

  const eventsOf = async (): Promise<unknown[]> =>
    (await room.control.query(`select data from penstock.event where kind = 'invariant.broken'`)).rows.map(
      (row: { data: unknown }) => row.data,
    );

  test('finds nothing where nothing is wrong', async () => {
    expect(await runJob('audit')).toEqual({});
    expect(await lastPass('audit')).toEqual({});
    expect(await eventsOf()).toEqual([]);
  });

  test('finds a receipt, a lease, a place and a run that are wrong, and says each once a day', async () => {
    const done = await finishRun();
    const load = done.loadId;
    await room.destination.query(
      `update _penstock.checkpoint set rows = rows - 1, inserted = inserted - 1 where load = '${load}';
       update _penstock.lease set run = '${done.runId}' where load = '${load}'`,
    );
    const lost = await plantOpenLoad('lost');
    await room.control.query(
      `update penstock.run set status = 'running', ended_at = null, moved_at = now() - interval '1 hour' where id = $1`,
      [lost.runId],
    );
    const nobody = newId('run');
    const index = createRedisIndex({
      address: parseRedisUrl(room.environment['PENSTOCK_REDIS_URL']!),
      namespace: await fetchInstallation(room.control),
      log: createKeptLogger().logger,
    });
    await waitUntil('Redis answers', async () => {
      await index.check();
      return true;
    });
    const { id: connectionId } = await room.store.connections.fetch(room.scope, 'source');
    await index.holdPlaces([
      {
        runId: nobody,
        tenantId: room.scope.tenantId!,
        syncId: newId('sync'),
        connectionId,
        score: 0,
      },
    ]);
    const tally = { receipt_adds_up: 1, lease_has_load: 1, place_has_run: 1, run_has_workflow: 1 };
    expect(await runJob('audit')).toEqual(tally);
    expect(await runJob('audit')).toEqual(tally);
    expect(await lastPass('audit')).toEqual(tally);
    expect(await eventsOf()).toHaveLength(4);
    expect(await eventsOf()).toEqual(
      expect.arrayContaining([
        { invariant: 'receipt_adds_up', object: load },
        { invariant: 'lease_has_load', object: `${load}/1` },
        { invariant: 'place_has_run', object: nobody },
        { invariant: 'run_has_workflow', object: lost.runId },
      ]),
    );
    await room.control.query(
      `update penstock.run set status = 'failed', ended_at = now() where status = 'running'`,
    );
    await index.releaseRuns([nobody]);
    index.close();
    await room.destination.query(
      `update _penstock.checkpoint set rows = rows + 1, inserted = inserted + 1 where load = '${load}';
       update _penstock.lease set run = null where load = '${load}'`,
    );
    expect(await room.logs()).toContain('an invariant is broken');
  });

  test('does not take what is being changed for broken', async () => {
    const { runId, loadId } = await finishRun();
    const holdLease = (run: string | null) =>
      room.destination.query('update _penstock.lease set run = $1 where load = $2', [run, loadId]);
    await holdLease(runId);
    const handle = await room.client.workflow.start(maintenanceTypes.audit, {
      workflowId: 'audit-settles',
      taskQueue,
      args: [{ settleMs: 2_000 }],
    });
    await waitUntil('it waits to look again', async () =>
      (await handle.fetchHistory()).events!.some((event) => event.timerStartedEventAttributes),
    );
    await holdLease(null);
    expect(await handle.result()).toEqual({});
  });
});
