import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { PenstockError } from '../../../src/domain/errors.ts';
import { newId, runIdOf, type RunId } from '../../../src/domain/ids.ts';
import type { RunOffer } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { announceSettled, tick } from '../../../src/schedule/tick.ts';
import { changeRun, fetchRunStatus } from '../../../src/storage/run-status.ts';
import { settle } from '../../../src/storage/settle.ts';
import { asEngine, asTenant } from '../../../src/storage/transaction.ts';
import { plantRun } from '../../support/plant-run.ts';
import {
  auditSlots,
  createSchedulerRoom,
  endRuns,
  everyHour,
  fetchNowMs,
  lastingLeases,
  plantDue,
  plantSyncs,
  quickSweeps,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex();
});
afterEach(() => room.clear());
afterAll(() => room.close());

const statusOf = (runId: RunId) => asEngine(room.pool, (tx) => fetchRunStatus(tx, runId));
const plant = (count = 1): Promise<PlantedSyncs> => plantDue(room.pool, { count });
const started = (count: number) =>
  waitUntil(`${count} runs are started`, () => room.starter.started.length === count);
const runOfSlot = ({ syncIds, firstMs }: PlantedSyncs, n = 0): RunId =>
  runIdOf(syncIds[n]!, 'schedule', new Date(firstMs!).toISOString());

const offerOf = ({ tenantId, connectionId, syncIds }: PlantedSyncs, runId: RunId): RunOffer => ({
  runId,
  tenantId,
  connectionId,
  syncId: syncIds[0]!,
  score: 0,
});

/** Writes a queued run as a trigger does. */
const trigger = ({ syncIds }: PlantedSyncs, key: string, dueInMs = 0): Promise<RunId> =>
  plantRun(room.pool, syncIds[0]!, {
    id: runIdOf(syncIds[0]!, 'manual', key),
    request_key: key,
    due_at: new Date(Date.now() + dueInMs),
  });

describe('dispatchers', () => {
  test('three at once start every slot once (P7)', async () => {
    const planted = await plant(300);
    // What has no answer for so long is started again, which is harmless.
    const options = { ...room.deps().options, ticketMs: lastingLeases.ticketMs };
    const start = async () => room.startDispatcher({ index: await room.openIndex(lastingLeases), options });
    await Promise.all([start(), start(), start()]);
    await started(300);
    expect(room.starter.startCalls).toBe(300);
    for (const syncId of planted.syncIds.slice(0, 20))
      expect(await auditSlots(room.pool, syncId, planted.firstMs!)).toEqual({ run: 1 });
    const { rows } = await room.pool.query('select count(*)::int as runs from penstock.run');
    expect(rows).toEqual([{ runs: 300 }]);
  });

  test('start what a producer announces without waiting for a look', async () => {
    const options = { globalCap: 10, ...quickSweeps, lookEveryMs: 60_000, sweepEveryMs: 60_000 };
    await room.startDispatcher({ options });
    const planted = await plantSyncs(room.pool, { schedule: { manual: true } });
    const runId = await trigger(planted, 'k');
    await waitUntil('the dispatcher listens', async () => {
      await index.offerRuns([offerOf(planted, runId)]);
      return room.starter.started.length === 1;
    });
  });

  test('start what nobody announced, from the rows', async () => {
    await room.startDispatcher();
    const planted = await plant();
    const other = await plantSyncs(room.pool, { schedule: { manual: true } });
    const triggered = await trigger(other, 'k');
    await started(2);
    expect(new Set(room.starter.started.map((run) => run.runId))).toEqual(
      new Set([runOfSlot(planted), triggered]),
    );
  });

  test('hand the engine ids, names and times of the run', async () => {
    const planted = await plant();
    await room.startDispatcher();
    await started(1);
    const tenantName = `t-${planted.tenantId.slice(4)}`;
    expect(room.starter.started).toEqual([
      {
        runId: runOfSlot(planted),
        workflowId: `${tenantName}:s-1:${runOfSlot(planted)}`,
        tenantId: planted.tenantId,
        tenantName,
        syncId: planted.syncIds[0],
        syncName: 's-1',
        sourceName: 'warehouse',
        workerClass: null,
        mode: 'append',
        origin: 'schedule',
        priority: 3,
        dueAtMs: planted.firstMs,
      },
    ]);
  });

  test('keep to the global cap, and go on when a place is freed', async () => {
    await plant(5);
    await room.startDispatcher({ options: { globalCap: 2, ...quickSweeps } });
    for (let done = 0; done < 5; done += 1) {
      await started(Math.min(5, done + 2));
      // Not the places: of a run that is over one may come back, until the next sweep.
      const { rowCount } = await room.pool.query(`select from penstock.run where status = 'starting'`);
      expect(rowCount).toBeLessThanOrEqual(2);
      await endRuns(room, index, [room.starter.started[done]!.runId]);
    }
    await waitUntil('all places are free', async () => (await index.fetchPlaces()).length === 0);
  });

  test('start a run that waits for the one before as soon as that is final', async () => {
    const planted = await plant();
    await room.startDispatcher({ options: { globalCap: 10, ...quickSweeps, sweepEveryMs: 60_000 } });
    await started(1);
    await room.untilHeard();
    const waiting = await trigger(planted, 'next');
    await index.offerRuns([offerOf(planted, waiting)]);
    await waitUntil('it says what it waits for', async () => {
      const { rows } = await room.pool.query('select waiting_reason as r from penstock.run where id = $1', [
        waiting,
      ]);
      return rows[0].r === 'previous_run';
    });
    expect(room.starter.started).toHaveLength(1);
    await endRuns(room, index, [runOfSlot(planted)]);
    await started(2);
  });

  test('stop after the starts under way, and leave the rest to others', async () => {
    await plant(50);
    const dispatcher = await room.startDispatcher();
    await waitUntil('it starts', () => room.starter.started.length > 0);
    await dispatcher.stop();
    const before = room.starter.startCalls;
    await room.startDispatcher();
    await started(50);
    expect(before).toBeGreaterThan(0);
  });
});

describe('P9: never early', () => {
  test('a Redis whose clock is an hour ahead starts nothing early, and is not asked in a hot loop', async () => {
    const dueIn = async (ms: number): Promise<PlantedSyncs> => {
      const at = new Date((await fetchNowMs(room.pool)) + ms).toISOString();
      const planted = await plantSyncs(room.pool, { count: 3, schedule: { at } });
      const nextDueAtMs = planted.firstMs! - 3_600_000;
      await index.publishDue(planted.syncIds.map((syncId) => ({ syncId, version: 1, nextDueAtMs })));
      return planted;
    };
    const later = await dueIn(1_800_000);
    await tick(room.deps(), 100);
    for (const syncId of later.syncIds)
      expect(Number(await room.redis.zscore(room.key('due'), syncId))).toBeGreaterThan(
        later.firstMs! - 60_000,
      );
    expect((await index.claimDue(100)).syncIds).toEqual([]);
    await dueIn(1_500);
    await room.startDispatcher();
    await started(3);
    const { rows } = await room.pool.query(
      `select count(*)::int as early from penstock.run r join penstock.event e on e.run_id = r.id where e.at < r.due_at`,
    );
    expect(rows).toEqual([{ early: 0 }]);
  });

  test('a sync that is looked at too early is put off by what is missing, not by the lease', async () => {
    const now = await fetchNowMs(room.pool);
    const { syncIds, firstMs } = await plantSyncs(room.pool, { schedule: everyHour(now) });
    await index.publishDue([{ syncId: syncIds[0]!, version: 1, nextDueAtMs: now - 3_600_000 }]);
    await tick(room.deps(), 100);
    const score = Number(await room.redis.zscore(room.key('due'), syncIds[0]!));
    expect(score).toBeGreaterThan(firstMs! - 60_000);
    expect(score).toBeLessThan(firstMs! + 60_000);
  });

  test('a run that is offered before its due time waits for it', async () => {
    const planted = await plantSyncs(room.pool, { schedule: { manual: true } });
    const runId = await trigger(planted, 'later', 800);
    await room.startDispatcher();
    await index.offerRuns([offerOf(planted, runId)]);
    await started(1);
    const { rows } = await room.pool.query(
      `select bool_and(e.at >= r.due_at) as ok from penstock.run r join penstock.event e on e.run_id = r.id
       where e.kind = 'run.starting'`,
    );
    expect(rows).toEqual([{ ok: true }]);
  });
});

describe('a sync changed between claim and settle', () => {
  const claimed = async (planted: PlantedSyncs): Promise<void> => {
    await index.publishDue(planted.syncIds.map((syncId) => ({ syncId, version: 1, nextDueAtMs: 0 })));
    expect((await index.claimDue(10)).syncIds).toEqual(planted.syncIds);
  };
  const settleAndAnnounce = async (planted: PlantedSyncs) => {
    const settlement = await room.store.settle(planted.syncIds);
    await announceSettled(index, settlement);
    return settlement;
  };

  test('edited: what was due ran under the old spec, and a late publication of it is ignored', async () => {
    const planted = await plant();
    await claimed(planted);
    const [syncId] = planted.syncIds;
    const late = await room.store.settle(planted.syncIds);
    const edited = await asTenant(room.pool, planted.tenantId, async (tx) => {
      await settle(tx, [syncId!]);
      await tx.query(
        `insert into penstock.sync_version (sync_id, version, tenant_id, spec) values ($1, 2, $2, $3)`,
        [syncId, planted.tenantId, { ...planted.spec, schedule: { every: '10s' } }],
      );
      await tx.query(
        'update penstock.sync set version = 2, next_nominal_at = null, next_due_at = null where id = $1',
        [syncId],
      );
      return settle(tx, [syncId!]);
    });
    await index.publishDue(edited);
    await announceSettled(index, late);
    expect(Number(await room.redis.zscore(room.key('due'), syncId!))).toBe(edited[0]!.nextDueAtMs);
    await room.startDispatcher();
    await started(1);
    expect(room.starter.started[0]!.runId).toBe(runOfSlot(planted));
  });

  test('paused: the run that was due waits, and starts when the pause ends', async () => {
    const planted = await plant();
    await claimed(planted);
    const pauseId = newId('pause');
    await room.pool.query('insert into penstock.pause (id, tenant_id, sync_id) values ($1, $2, $3)', [
      pauseId,
      planted.tenantId,
      planted.syncIds[0],
    ]);
    await settleAndAnnounce(planted);
    await room.startDispatcher();
    await waitUntil('it says why it waits', async () => {
      const { rows } = await room.pool.query('select status, waiting_reason from penstock.run');
      return rows[0].status === 'queued' && rows[0].waiting_reason === 'sync_paused';
    });
    await room.pool.query('update penstock.pause set until_at = clock_timestamp() where id = $1', [pauseId]);
    await started(1);
  });

  test('deleted: nothing more is started, and it leaves the index', async () => {
    const planted = await plant();
    await claimed(planted);
    const [syncId] = planted.syncIds;
    await asTenant(room.pool, planted.tenantId, async (tx) => {
      await settle(tx, [syncId!]);
      await tx.query(
        `update penstock.sync set status = 'deleted', next_nominal_at = null, next_due_at = null,
           release_at = clock_timestamp() where id = $1`,
        [syncId],
      );
    });
    expect((await settleAndAnnounce(planted)).settled).toMatchObject([{ nextDueAtMs: null }]);
    expect(await room.redis.zcard(room.key('due'))).toBe(0);
    await room.startDispatcher();
    await waitUntil(
      'its queued run is dropped',
      async () => (await statusOf(runOfSlot(planted))) === 'cancelled',
    );
    expect(room.starter.started).toEqual([]);
  });

  test('unknown to this database: it leaves the index', async () => {
    await index.publishDue([{ syncId: newId('sync'), version: 1, nextDueAtMs: 0 }]);
    await tick(room.deps(), 100);
    expect(await room.redis.zcard(room.key('due'))).toBe(0);
  });
});

describe('the engine', () => {
  test('unreachable: nothing is lost, one line says so, and all start when it is back', async () => {
    await plant(20);
    room.starter.setReachable(false);
    await room.startDispatcher();
    const aboutEngine = () => room.lines.filter((line) => line.includes('the engine does not answer'));
    await waitUntil('the dispatcher notices', () => aboutEngine().length > 0);
    await plant(5);
    await waitUntil('the new ones are queued', async () => {
      const { rows } = await room.pool.query('select count(*)::int as n from penstock.run');
      return rows[0].n === 25;
    });
    room.starter.setReachable(true);
    await started(25);
    expect(aboutEngine()).toHaveLength(1);
  });

  test('refuses a run for good: it is failed and its place is freed', async () => {
    const planted = await plant();
    room.starter.refuse(new PenstockError('BAD_REQUEST', 'The fake engine wants no such run.'));
    await room.startDispatcher({
      index: await room.openIndex(lastingLeases),
      options: { globalCap: 10, ...quickSweeps, sweepEveryMs: 60_000 },
    });
    await waitUntil('the run is failed', async () => (await statusOf(runOfSlot(planted))) === 'failed');
    await waitUntil(
      'its place is free',
      async () => (await room.redis.scard(room.key('active:global'))) === 0,
    );
  });

  test('fails for a reason of its own: the run is started again', async () => {
    const planted = await plant();
    room.starter.refuse(new Error('out of luck'));
    await room.startDispatcher();
    await waitUntil('it is logged', () => room.lines.some((line) => line.includes('a start failed')));
    expect(await statusOf(runOfSlot(planted))).toBe('starting');
    room.starter.refuse(null);
    await started(1);
  });

  test.each(['starting', 'running'])(
    'lost a workflow: its run, %s, is made final and its place freed',
    async (status) => {
      const planted = await plant();
      const closed: RunId[] = [];
      await room.startDispatcher({
        closeRun: async (runId) => {
          closed.push(runId);
          await asEngine(room.pool, (tx) => changeRun(tx, runId, 'settleCancel'));
        },
      });
      await started(1);
      const runId = runOfSlot(planted);
      if (status === 'running') await asEngine(room.pool, (tx) => changeRun(tx, runId, 'prepare'));
      room.starter.close(room.starter.started[0]!.workflowId);
      await waitUntil('the run is final', async () => (await statusOf(runId)) === 'cancelled');
      // Perhaps twice: whoever makes it final finds that it is.
      expect(new Set(closed)).toEqual(new Set([runId]));
      await waitUntil('its place is free', async () => (await index.fetchPlaces()).length === 0);
    },
  );

  test('lost workflows whose destination is away: they are tried again, and hold up nobody', async () => {
    const planted = await plant(12);
    const isAway = new Set(planted.syncIds.slice(0, 11).map((_, n) => runOfSlot(planted, n)));
    const tried: RunId[] = [];
    await room.startDispatcher({
      closeRun: async (runId) => {
        tried.push(runId);
        if (isAway.has(runId)) throw new PenstockError('DESTINATION_UNREACHABLE', 'The destination is away.');
        await asEngine(room.pool, (tx) => changeRun(tx, runId, 'settleCancel'));
      },
    });
    await started(12);
    for (const run of room.starter.started) {
      await asEngine(room.pool, (tx) => changeRun(tx, run.runId, 'prepare'));
      room.starter.close(run.workflowId);
    }
    await waitUntil(
      'the one that can be is final',
      async () => (await statusOf(runOfSlot(planted, 11))) === 'cancelled',
    );
    const [away] = isAway;
    await waitUntil('the others are tried again', () => tried.filter((runId) => runId === away).length >= 2);
  });

  test('is told again to go on when the row says so: whoever resumed the run may have died before it was told', async () => {
    const planted = await plant();
    await room.startDispatcher();
    await started(1);
    await asEngine(room.pool, (tx) => changeRun(tx, runOfSlot(planted), 'prepare'));
    const { workflowId } = room.starter.started[0]!;
    await waitUntil('its workflow is told', () => room.starter.resumed.has(workflowId));
  });

  test('is asked again to cancel a run that is cancelling', async () => {
    const planted = await plant();
    await room.startDispatcher();
    await started(1);
    await asEngine(room.pool, (tx) => changeRun(tx, runOfSlot(planted), 'cancel'));
    await waitUntil('it is asked', () => room.starter.cancelled.size === 1);
  });
});

test('a run past its catch-up deadline is dropped even when it has its place already', async () => {
  const planted = await plant();
  await room.store.settle(planted.syncIds);
  await room.pool.query(`update penstock.run set start_before = clock_timestamp() - interval '1 second'`);
  const runId = runOfSlot(planted);
  expect(await room.store.startRuns([runId])).toEqual([{ runId, verdict: 'gone' }]);
  expect(await statusOf(runId)).toBe('cancelled');
});

test('a queued run past its catch-up deadline ends cancelled, reason missed', async () => {
  const planted = await plant();
  await room.store.settle(planted.syncIds);
  await room.pool.query(`update penstock.run set start_before = clock_timestamp() - interval '1 second'`);
  await room.startDispatcher();
  await waitUntil('it is dropped', async () => (await statusOf(runOfSlot(planted))) === 'cancelled');
  const { rows } = await room.pool.query('select end_reason from penstock.run');
  expect(rows).toEqual([{ end_reason: 'missed' }]);
  expect(room.starter.started).toEqual([]);
});
