import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import { runIdOf, type RunId, type SyncId } from '../../../src/domain/ids.ts';
import type { SettledSync } from '../../../src/ports/schedule-store.ts';
import { changeRun } from '../../../src/storage/run-status.ts';
import { settle } from '../../../src/storage/settle.ts';
import { asEngine, asTenant } from '../../../src/storage/transaction.ts';
import { aReceipt, plantRun } from '../../support/plant-run.ts';
import {
  auditSlots,
  createSchedulerRoom,
  endRuns,
  everyMinute,
  fetchNowMs,
  plantDue,
  plantSyncs,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let pool: Pool;
beforeAll(async () => {
  room = await createSchedulerRoom();
  pool = room.pool;
});
afterEach(() => room.clear());
afterAll(() => room.close());

const minuteMs = 60_000;
const settleOne = async (syncId: SyncId): Promise<SettledSync> => {
  const [settled] = await asEngine(pool, (tx) => settle(tx, [syncId]));
  return settled!;
};

describe('of due times found late', () => {
  const hour = { window: '1h', policy: 'all' } as const;

  test('all: each has its run, the first is offered, and the others wait for the one before', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: everyMinute(now),
      sinceMs: now - 5 * minuteMs,
      spec: { catchUp: hour, overlap: 'buffer_all' },
    });
    const { offered } = await settleOne(syncIds[0]!);
    expect(await auditSlots(pool, syncIds[0]!, firstMs!)).toEqual({ run: 5 });
    const { rows } = await pool.query('select id, waiting_reason from penstock.run order by nominal_at');
    expect(rows.map((row) => row.waiting_reason)).toEqual([null, ...Array<string>(4).fill('previous_run')]);
    expect(offered.map((run) => run.runId)).toEqual([rows[0].id]);
  });

  test('all: more than one settling may make are settled by the next ones, and an edit settles all of them', async () => {
    const now = await fetchNowMs(pool);
    const late = {
      schedule: { every: '1s' },
      sinceMs: now - 250_000,
      spec: { catchUp: hour, overlap: 'buffer_all' },
    } as const;
    const [dispatched, edited] = [await plantSyncs(pool, late), await plantSyncs(pool, late)];
    const { settled } = await room.store.settle(dispatched.syncIds);
    expect(settled[0]!.nextDueAtMs).toBe(dispatched.firstMs! + 100_000);
    expect(await auditSlots(pool, dispatched.syncIds[0]!, dispatched.firstMs!)).toEqual({ run: 100 });
    const [whole] = await asTenant(pool, edited.tenantId, (tx) => settle(tx, edited.syncIds));
    expect(whole!.nextDueAtMs).toBeGreaterThan(whole!.settledAtMs);
    expect(whole!.offered[0]!.runId).toBe(
      runIdOf(edited.syncIds[0]!, 'schedule', new Date(edited.firstMs!).toISOString()),
    );
    const counts = await auditSlots(pool, edited.syncIds[0]!, edited.firstMs!);
    expect(counts).toEqual({ run: expect.any(Number) });
    expect(counts['run']).toBeGreaterThanOrEqual(250);
  });

  test('none: they are missed', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: everyMinute(now),
      sinceMs: now - 5 * minuteMs,
      spec: { catchUp: { policy: 'none' } },
    });
    expect((await settleOne(syncIds[0]!)).offered).toEqual([]);
    expect(await auditSlots(pool, syncIds[0]!, firstMs!)).toEqual({ missed: 5 });
  });
});

describe('of due times that pass while a run is open', () => {
  test.each([
    ['buffer_one', { run: 2 }],
    ['buffer_all', { run: 4 }],
  ] as const)('%s lets them wait, and they run in their order', async (overlap, expected) => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, {
      schedule: { every: '100ms' },
      sinceMs: now - 100,
      spec: { overlap },
    });
    const syncId = planted.syncIds[0]!;
    const counted = async (): Promise<number> => (await pool.query('select from penstock.run')).rowCount!;
    await waitUntil('as many runs wait as may', async () => {
      await settleOne(syncId);
      return (await counted()) >= expected.run;
    });
    const settled = await settleOne(syncId);
    if (overlap === 'buffer_one') expect(settled.offered).toEqual([]);
    const { rows } = await pool.query<{ id: RunId; waiting_reason: string | null }>(
      'select id, waiting_reason from penstock.run order by nominal_at limit $1',
      [expected.run],
    );
    const ids = rows.map((row) => row.id);
    expect(rows.map((row) => row.waiting_reason)).toEqual([
      null,
      ...Array<string>(expected.run - 1).fill('previous_run'),
    ]);
    // Whichever is asked for first, the earliest one starts; the others have to wait until it has ended.
    const verdicts = await room.store.startRuns(ids.toReversed());
    const byRun = new Map(verdicts.map((verdict) => [verdict.runId, verdict]));
    expect(ids.map((id) => byRun.get(id)!.verdict)).toEqual([
      'start',
      ...Array<string>(expected.run - 1).fill('wait'),
    ]);
    expect(await room.store.fetchUnblockedRuns()).toEqual([]);
    await asEngine(pool, (tx) => changeRun(tx, ids[0]!, 'settleCancel'));
    expect((await room.store.fetchUnblockedRuns()).map((run) => run.runId)).toEqual([ids[1]]);
    expect((await room.store.fetchWaitingRuns(ids)).map((run) => run.runId)).toEqual([ids[1]]);
  });
});

describe('overlap cancel_other', () => {
  test('cancels the run at work, tells its workflow at once, and runs when that has ended', async () => {
    const { syncIds } = await plantDue(pool, { spec: { overlap: 'cancel_other' } });
    // Told again so late that it must be the tick that tells it.
    await room.startDispatcher({ options: { ...room.deps().options, overdueMs: 60_000 } });
    await waitUntil('the first run is at work', () => room.starter.started.length === 1);
    await room.untilFilled();
    const { rows } = await pool.query<{ ms: number }>(
      `update penstock.sync
       set (next_nominal_at, next_due_at) = (select n, n from date_trunc('milliseconds', clock_timestamp()) n)
       returning (extract(epoch from next_due_at) * 1000)::float8 as ms`,
    );
    const index = await room.openIndex();
    await index.publishDue([{ syncId: syncIds[0]!, version: 1, nextDueAtMs: rows[0]!.ms }]);
    const runs = async () => {
      const { rows } = await pool.query<{ id: RunId; status: string; endReason: string; workflowId: string }>(
        `select id, status, end_reason as "endReason", workflow_id as "workflowId" from penstock.run
         where sync_id = $1 order by nominal_at`,
        [syncIds[0]],
      );
      return rows;
    };
    await waitUntil('the second has come due', async () => (await runs()).length === 2);
    const [first, second] = await runs();
    expect([first, second]).toMatchObject([
      { status: 'cancelling', endReason: 'overlap' },
      { status: 'queued', endReason: null },
    ]);
    await waitUntil('its workflow is asked to cancel', () => room.starter.cancelled.has(first!.workflowId));
    await endRuns(room, index, [first!.id]);
    await waitUntil('the second one starts', () =>
      room.starter.started.some((run) => run.runId === second!.id),
    );
  });

  test('lets a run that waits already do what the next due times ask for', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: { every: '100ms' },
      sinceMs: now - 100,
      spec: { overlap: 'cancel_other' },
    });
    await settleOne(syncIds[0]!);
    await waitUntil('another due time passes', async () => (await settleOne(syncIds[0]!)).wasDue);
    const counts = await auditSlots(pool, syncIds[0]!, firstMs!);
    expect(counts).toMatchObject({ run: 1, skipped_overlap: expect.any(Number) });
    expect((await pool.query(`select from penstock.run where status = 'queued'`)).rowCount).toBe(1);
  });
});

test('a run that was triggered for later starts when its time has come, without a sweep', async () => {
  const { syncIds } = await plantSyncs(pool, { schedule: { manual: true } });
  await room.startDispatcher({ options: { ...room.deps().options, sweepEveryMs: 60_000 } });
  await plantRun(pool, syncIds[0]!, { due_at: new Date(Date.now() + 600), waiting_reason: 'not_due' });
  await waitUntil('it is started', () => room.starter.started.length === 1);
  const { rows } = await pool.query(
    `select e.at >= r.due_at as ok from penstock.run r join penstock.event e on e.run_id = r.id
     where e.kind = 'run.starting'`,
  );
  expect(rows).toEqual([{ ok: true }]);
});

test('a run for a later time keeps no due time from running', async () => {
  const now = await fetchNowMs(pool);
  const { syncIds } = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
  await plantRun(pool, syncIds[0]!, { due_at: new Date(now + 86_400_000), waiting_reason: 'not_due' });
  expect((await settleOne(syncIds[0]!)).offered).toHaveLength(1);
});

describe('autoPause', () => {
  type End = 'succeeded' | 'failed' | 'cancelled';
  let planted: PlantedSyncs;
  const plant = async (autoPause: { after: number } | undefined): Promise<void> => {
    planted = await plantSyncs(pool, { schedule: { manual: true }, spec: { autoPause } });
  };
  const endRun = async (end: End): Promise<RunId> => {
    const runId = await plantRun(pool, planted.syncIds[0]!, { status: 'running' });
    await asEngine(pool, async (tx) => {
      if (end === 'failed') await changeRun(tx, runId, 'fail', { errorCode: 'SOURCE_SQL' });
      else if (end === 'cancelled') await changeRun(tx, runId, 'settleCancel');
      else await changeRun(tx, runId, 'succeed', { receipt: aReceipt() });
    });
    return runId;
  };
  const pauses = async () =>
    (
      await pool.query('select reason from penstock.pause where sync_id = $1 and until_at is null', [
        planted.syncIds[0],
      ])
    ).rows;

  test('pauses at the last failure that it allows, with a reason and an event; successes begin the count again', async () => {
    await plant({ after: 2 });
    for (const end of ['failed', 'succeeded', 'failed', 'cancelled'] as const) await endRun(end);
    expect(await pauses()).toEqual([]);
    const last = await endRun('failed');
    const reason = '2 runs failed, the last with SOURCE_SQL';
    expect(await pauses()).toEqual([{ reason }]);
    const { rows } = await pool.query(`select run_id, data from penstock.event where kind = 'sync.paused'`);
    expect(rows).toEqual([{ run_id: last, data: { reason, until: null, failures: 2 } }]);
    const audit = await pool.query(`select object_id from penstock.audit where action = 'sync.pause'`);
    expect(audit.rows).toEqual([{ object_id: planted.syncIds[0] }]);
    await endRun('failed');
    expect(await pauses()).toHaveLength(1);
  });

  test('gives a resumed sync as many tries again', async () => {
    await plant({ after: 2 });
    for (let n = 0; n < 2; n += 1) await endRun('failed');
    await pool.query('update penstock.pause set until_at = clock_timestamp()');
    await endRun('failed');
    expect(await pauses()).toEqual([]);
    await endRun('failed');
    expect(await pauses()).toHaveLength(1);
  });

  test('without it nothing is paused', async () => {
    await plant(undefined);
    for (let n = 0; n < 3; n += 1) await endRun('failed');
    expect(await pauses()).toEqual([]);
  });
});
