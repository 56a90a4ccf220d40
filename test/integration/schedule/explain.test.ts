/** Every reason for which a run is not at work, as it is told: with who has what it waits for, its position and times. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import { waitingReasons, type WaitingReason } from '../../../src/domain/run-states.ts';
import type { RunExplanation } from '../../../src/ports/run-explainer.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createRunExplainer } from '../../../src/storage/run-explainer.ts';
import { pauseSync } from '../../../src/storage/sync-lifecycle.ts';
import { asTenant } from '../../../src/storage/transaction.ts';
import { plantRun } from '../../support/plant-run.ts';
import {
  createSchedulerRoom,
  lastingLeases,
  plantDue,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';

let room: SchedulerRoom;
let index: RedisIndex;
beforeAll(async () => {
  room = await createSchedulerRoom();
  index = await room.openIndex(lastingLeases);
});
afterEach(() => room.clear());
afterAll(() => room.close());

interface Waiting extends PlantedSyncs {
  readonly scope: Scope;
  readonly runs: readonly RunId[];
}

/** Syncs of one tenant, each with a run that is queued and offered; in the order in which they start. */
async function queue(over: Parameters<typeof plantDue>[1] = {}): Promise<Waiting> {
  const planted = await plantDue(room.pool, over);
  const { settled } = await room.store.settle(planted.syncIds);
  const offers = settled.flatMap((sync) => sync.offered);
  await index.beginRefill('t', { again: false });
  await index.advanceRefill('t', 'all');
  await index.saveLimits(await room.store.fetchLimits());
  await index.offerRuns(offers);
  return {
    ...planted,
    scope: { tenantId: planted.tenantId, apiKeyId: null },
    runs: offers.map((run) => run.runId).sort(),
  };
}
const explain = ({ scope }: Waiting, runId: RunId | undefined, through = index): Promise<RunExplanation> =>
  createRunExplainer({ pool: room.pool, index: through, starter: room.starter }).explain(scope, runId!);
/** Admits with so many places in all, and starts what was admitted. */
async function admit(cap: number, limit = 100): Promise<RunId[]> {
  const { tickets } = await index.admit({ limit, cap });
  const runIds = tickets.map((ticket) => ticket.runId);
  await room.store.startRuns(runIds);
  await index.confirmStarts(tickets);
  return runIds;
}
const aheadMs = (until: string | null): number => Date.parse(until!) - Date.now();
const pause = (tenantId: string | null, syncId: string | null, minutes: number | null) =>
  room.pool.query(
    `insert into penstock.pause (id, tenant_id, sync_id, until_at)
     values ($1, $2, $3, clock_timestamp() + $4 * interval '1 minute')`,
    [newId('pause'), tenantId, syncId, minutes],
  );

/** What is done for each reason, and the run that then has it. */
const cases: Record<WaitingReason, () => Promise<void>> = {
  not_due: async () => {
    const one = await queue();
    await room.pool.query(`update penstock.run set due_at = clock_timestamp() + interval '1 hour'`);
    const told = await explain(one, one.runs[0]);
    expect(told).toMatchObject({ reason: 'not_due', status: 'queued' });
    expect(Math.abs(aheadMs(told.until) - 3_600_000)).toBeLessThan(30_000);
  },
  sync_paused: async () => {
    const one = await queue();
    await asTenant(room.pool, one.tenantId, (tx) =>
      pauseSync(tx, one.scope, { ref: one.syncIds[0]!, reason: 'x', until: null }),
    );
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: 'sync_paused', until: null });
  },
  tenant_paused: async () => {
    const one = await queue();
    await pause(one.tenantId, null, 5);
    const told = await explain(one, one.runs[0]);
    expect(told.reason).toBe('tenant_paused');
    expect(Math.abs(aheadMs(told.until) - 300_000)).toBeLessThan(30_000);
  },
  all_paused: async () => {
    const one = await queue();
    await pause(null, null, 5);
    await pause(one.tenantId, one.syncIds[0]!, null);
    // the other pause goes on after it, nobody knows until when
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: 'all_paused', until: null });
  },
  previous_run: async () => {
    const one = await queue();
    await admit(10);
    const runId = await plantRun(room.pool, one.syncIds[0]!);
    expect(await explain(one, runId)).toMatchObject({
      reason: 'previous_run',
      holders: [{ runId: one.runs[0], syncName: 's-1', status: 'starting', startedAt: null }],
    });
  },
  global_cap: async () => {
    const [first, second] = [await queue({ count: 2 }), await queue()];
    await admit(2);
    expect(await explain(second, second.runs[0])).toMatchObject({ reason: null, status: 'starting' });
    const other = first.runs[1];
    expect(await explain(first, other)).toMatchObject({
      reason: 'global_cap',
      position: 1,
      places: { held: 2, cap: 2 },
      // the other tenant's is none of its business
      holders: [{ runId: first.runs[0] }],
    });
  },
  tenant_cap: async () => {
    const one = await queue({ count: 3, maxRuns: 1 });
    const [atWork] = await admit(10);
    const last = one.runs.at(-1);
    expect(await explain(one, last)).toMatchObject({
      reason: 'tenant_cap',
      position: 2,
      places: { held: 1, cap: 1 },
      holders: [{ runId: atWork }],
    });
  },
  connection_cap: async () => {
    const one = await queue({ count: 3, connection: { maxRuns: 1 } });
    const [atWork] = await admit(10);
    expect(await explain(one, one.runs[1])).toMatchObject({
      reason: 'connection_cap',
      places: { held: 1, cap: 1 },
      holders: [{ runId: atWork }],
    });
  },
  rate_limited: async () => {
    const one = await queue({ count: 2, connection: { startsPerMinute: 1 } });
    await admit(10);
    const told = await explain(one, one.runs[1]);
    expect(told.reason).toBe('rate_limited');
    expect(Math.abs(aheadMs(told.until) - 60_000)).toBeLessThan(15_000);
  },
  cooling_down: async () => {
    const one = await queue();
    const [limits] = (await room.store.fetchLimits()).connections;
    await index.saveLimits({ connections: [{ ...limits!, coolMs: 60_000 }] });
    await admit(10);
    const told = await explain(one, one.runs[0]);
    expect(told.reason).toBe('cooling_down');
    expect(Math.abs(aheadMs(told.until) - 60_000)).toBeLessThan(15_000);
  },
  back_off: async () => {
    const one = await queue();
    const { tickets } = await index.admit({ limit: 1, cap: 10 });
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: null, status: 'queued' });
    await index.returnTickets([{ ...tickets[0]!, next: 30_000 }]);
    const told = await explain(one, one.runs[0]);
    expect(told.reason).toBe('back_off');
    expect(Math.abs(aheadMs(told.until) - 30_000)).toBeLessThan(15_000);
  },
  behind: async () => {
    const [crowd, small] = [await queue({ count: 5 }), await queue({ count: 2 })];
    await admit(1_000, 1);
    const waiting = [
      ...crowd.runs.slice(1).map((id) => [crowd, id] as const),
      ...small.runs.map((id) => [small, id] as const),
    ];
    const told = await Promise.all(waiting.map(([whose, id]) => explain(whose, id)));
    expect(told.map(({ reason }) => reason)).toEqual(waiting.map(() => 'behind'));
    // they start in the order that was told
    const order = [...waiting.keys()].sort((a, b) => told[a]!.position! - told[b]!.position!);
    expect(new Set(told.map(({ position }) => position))).toEqual(new Set([1, 2, 3, 4, 5, 6]));
    const started: RunId[] = [];
    while (started.length < waiting.length) started.push(...(await admit(1_000, 1)));
    expect(order.map((n) => waiting[n]![1])).toEqual(started);
  },
  no_worker: async () => {
    const one = await queue();
    await admit(10);
    room.starter.setWorker(false);
    expect(await explain(one, one.runs[0])).toMatchObject({
      reason: 'no_worker',
      status: 'starting',
      workerClass: null,
    });
  },
  engine_unreachable: async () => {
    const one = await queue({ count: 2 });
    await admit(1);
    room.starter.setReachable(false);
    for (const [n, status] of ['starting', 'queued'].entries())
      expect(await explain(one, one.runs[n])).toMatchObject({ reason: 'engine_unreachable', status });
  },
  draining: async () => {
    const one = await queue({ count: 2 });
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: 'draining' });
    await admit(1);
    expect(await explain(one, one.runs[1])).toMatchObject({ reason: 'global_cap' });
    await room.redis.hincrby(room.key('admission'), 'at', -11_000);
    expect(await explain(one, one.runs[1])).toMatchObject({ reason: 'draining' });
  },
  step_paused: async () => {
    const one = await queue();
    const [runId] = await admit(10);
    await room.pool.query(`update penstock.run set status = 'running'`);
    expect(await explain(one, runId)).toMatchObject({ reason: null, status: 'running' });
    const since = new Date().toISOString();
    const seen = { runId: runId!, lookAt: null };
    await room.store.noteSeen(seen, [{ step: 'copy', activityId: '2', by: 'ops', reason: '', since }]);
    expect(await explain(one, runId)).toMatchObject({ reason: 'step_paused', status: 'running' });
    await room.store.noteSeen(seen, []);
    expect(await explain(one, runId)).toMatchObject({ reason: null, status: 'running' });
  },
};

test.each(waitingReasons)('a run that waits says so: %s', (reason) => cases[reason]());

describe('of a worker class', () => {
  const setClass = ({ connectionId }: Waiting, workerClass: string | null) =>
    room.pool.query('update penstock.connection set worker_class = $2 where id = $1', [
      connectionId,
      workerClass,
    ]);

  test('a queued run that nobody there would take says so, and of which class; the connection’s as it is now', async () => {
    const one = await queue();
    await setClass(one, 'eu');
    const lacking = { reason: 'no_worker', status: 'queued', workerClass: 'eu' };
    expect(await explain(one, one.runs[0])).toMatchObject(lacking);
    room.starter.setWorker(true, 'eu');
    expect((await explain(one, one.runs[0])).reason).not.toBe('no_worker');
    await setClass(one, 'us');
    expect(await explain(one, one.runs[0])).toMatchObject({ ...lacking, workerClass: 'us' });
    await setClass(one, null);
    expect((await explain(one, one.runs[0])).reason).not.toBe('no_worker');
  });

  test('a run that has started lacks the workers of the class that it started with, also when it is at work', async () => {
    const one = await queue();
    await setClass(one, 'eu');
    await admit(10);
    await setClass(one, null);
    for (const status of ['starting', 'running']) {
      await room.pool.query('update penstock.run set status = $2 where id = $1', [one.runs[0], status]);
      expect(await explain(one, one.runs[0])).toMatchObject({
        reason: 'no_worker',
        status,
        workerClass: 'eu',
      });
    }
    room.starter.setWorker(true, 'eu');
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: null, workerClass: null });
    // without a worker for workflows that of the class is of no use
    room.starter.setWorker(false);
    expect(await explain(one, one.runs[0])).toMatchObject({ reason: 'no_worker', workerClass: null });
  });
});

describe('otherwise', () => {
  test('a run that nobody has offered yet is behind, without a position', async () => {
    const one = await queue({ count: 2 });
    await admit(10, 1);
    await index.releaseRuns([one.runs[1]!]);
    expect(await explain(one, one.runs[1])).toMatchObject({ reason: 'behind', position: null });
  });

  test('without Redis the rows say what they know', async () => {
    const capped = await queue({ count: 2, maxRuns: 1 });
    const narrow = await queue({ count: 2, connection: { maxRuns: 1 } });
    const free = await queue();
    const away = await room.openIndex();
    away.close();
    await room.store.startRuns([capped.runs[0]!, narrow.runs[0]!]);
    expect(await explain(capped, capped.runs[1], away)).toMatchObject({
      reason: 'tenant_cap',
      places: { held: 1 },
    });
    expect(await explain(narrow, narrow.runs[1], away)).toMatchObject({ reason: 'connection_cap' });
    expect(await explain(free, free.runs[0], away)).toMatchObject({ reason: 'behind' });
  });

  test('a final run, and one that is paused, wait for nothing; another tenant’s is not there', async () => {
    const one = await queue({ count: 1 });
    const other = await queue();
    await admit(10);
    for (const status of ['running', 'paused'])
      await room.pool
        .query('update penstock.run set status = $2 where id = $1', [one.runs[0], status])
        .then(async () => expect(await explain(one, one.runs[0])).toMatchObject({ status, reason: null }));
    await expect(explain(one, other.runs[0])).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});
