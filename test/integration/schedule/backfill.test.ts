import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunId, SyncId } from '../../../src/domain/ids.ts';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import type { Backfill, BackfillStore } from '../../../src/ports/backfill-store.ts';
import { createBackfillStore } from '../../../src/storage/backfill-store.ts';
import { changeRun } from '../../../src/storage/run-status.ts';
import type { RunChange } from '../../../src/domain/run-states.ts';
import { settle } from '../../../src/storage/settle.ts';
import { deleteSync } from '../../../src/storage/sync-lifecycle.ts';
import { asEngine, asTenant } from '../../../src/storage/transaction.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { aReceipt } from '../../support/plant-run.ts';
import {
  createSchedulerRoom,
  everyHour,
  fetchNowMs,
  plantSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
let backfills: BackfillStore;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(() => room.close());

const receipt = aReceipt({ read: 7, inserted: 7, batches: 1, bytes: 9 });
const range = { from: '0', to: '25', every: '10', requestKey: undefined };
const incremental: Partial<SyncSpecInput> = { mode: 'upsert', key: ['id'], cursor: { column: 'v' } };

async function plant(
  spec: Partial<SyncSpecInput> = {},
  schedule: SyncSpecInput['schedule'] = { manual: true },
) {
  const planted = await plantSyncs(room.pool, { schedule, spec: { ...incremental, ...spec } });
  const scope = { tenantId: planted.tenantId, apiKeyId: null };
  backfills = createBackfillStore({
    pool: room.pool,
    announcer: room.deps().index,
    starter: room.starter,
    logger: createKeptLogger().logger,
  });
  const syncId = planted.syncIds[0]!;
  const start = (): Promise<Backfill> => backfills.start(scope, syncId, range);
  const look = ({ id }: Backfill): Promise<Backfill> => backfills.fetch(scope, id);
  return { ...planted, scope, syncId, start, look };
}

const verdictOf = async (...runIds: RunId[]): Promise<string[]> => {
  const verdicts = await room.store.startRuns(runIds);
  return runIds.map((id) => verdicts.find(({ runId }) => runId === id)!.verdict);
};
const end = (runId: RunId, change: RunChange = 'succeed') =>
  asEngine(room.pool, (tx) => changeRun(tx, runId, change, change === 'succeed' ? { receipt } : {}));
const openRuns = async (syncId: SyncId): Promise<{ id: RunId; origin: string; status: string }[]> =>
  (
    await room.pool.query(
      'select id, origin, status from penstock.run where sync_id = $1 and ended_at is null order by queued_at, id',
      [syncId],
    )
  ).rows;

describe('the parts of a backfill', () => {
  test('run one after the other, behind all else, and it has succeeded when they have', async () => {
    const { start, look, syncId } = await plant();
    let backfill = await start();
    for (const [part, from, to] of [
      [1, '0', '10'],
      [2, '10', '20'],
      [3, '20', '25'],
    ] as const) {
      expect(backfill).toMatchObject({
        status: 'running',
        parts: 3,
        done: part - 1,
        rows: 7 * (part - 1),
        current: { part, from, to, status: 'queued' },
      });
      const { rows } = await room.pool.query(
        'select priority, window_low, window_high from penstock.run where id = $1',
        [backfill.current.runId],
      );
      expect(rows).toEqual([{ priority: 5, window_low: from, window_high: to }]);
      expect(await verdictOf(backfill.current.runId)).toEqual(['start']);
      await end(backfill.current.runId);
      backfill = await look(backfill);
    }
    expect(backfill).toMatchObject({ status: 'succeeded', done: 3, rows: 21, endedAt: expect.any(String) });
    expect(await openRuns(syncId)).toEqual([]);
    const { rows } = await room.pool.query(
      `select data from penstock.event where kind = 'backfill.succeeded'`,
    );
    expect(rows).toEqual([{ data: { backfill: backfill.id, part: 3, parts: 3 } }]);
  });

  test('count for it also when their runs have been forgotten', async () => {
    const { start, look } = await plant();
    const backfill = await start();
    await verdictOf(backfill.current.runId);
    await end(backfill.current.runId);
    await room.pool.query('delete from penstock.run where id = $1', [backfill.current.runId]);
    expect(await look(backfill)).toMatchObject({ done: 1, rows: 7, current: { part: 2 } });
  });

  test('are started by the dispatcher, one when the one before has ended, without a sweep', async () => {
    const { start, look } = await plant();
    await room.startDispatcher({ options: { ...room.deps().options, sweepEveryMs: 60_000 } });
    await room.untilHeard();
    const backfill = await start();
    const index = await room.openIndex();
    for (const part of [1, 2, 3]) {
      await waitUntil(`part ${part} is started`, () => room.starter.started.length === part);
      const { runId } = room.starter.started.at(-1)!;
      await end(runId);
      await index.releaseRuns([runId]);
    }
    expect(await look(backfill)).toMatchObject({ status: 'succeeded' });
  });

  test.each([
    ['fail', 'failed'],
    ['settleCancel', 'cancelled'],
  ] as const)('end with one that ends by %s', async (change, status) => {
    const { start, look, syncId } = await plant();
    const backfill = await start();
    await verdictOf(backfill.current.runId);
    await end(backfill.current.runId, change);
    expect(await look(backfill)).toMatchObject({ status, done: 0, current: { part: 1, status } });
    expect(await openRuns(syncId)).toEqual([]);
  });
});

describe('due times of the sync', () => {
  const makeDue = (syncId: SyncId) =>
    room.pool.query(
      `update penstock.sync set next_nominal_at = date_trunc('ms', clock_timestamp()),
         next_due_at = date_trunc('ms', clock_timestamp()) where id = $1`,
      [syncId],
    );

  test.each(['skip', 'cancel_other'] as const)(
    'come between two parts, whatever waits longer, with overlap %s',
    async (overlap) => {
      const { start, look, syncId } = await plant({ overlap }, everyHour(await fetchNowMs(room.pool)));
      const backfill = await start();
      const first = backfill.current.runId;
      await verdictOf(first);
      await makeDue(syncId);
      const [settled] = await asEngine(room.pool, (tx) => settle(tx, [syncId]));
      const due = settled!.offered[0]!.runId;
      expect([settled!.cancelled, await verdictOf(due)]).toEqual([[], ['wait']]);
      await end(first);
      const second = (await look(backfill)).current.runId;
      await room.pool.query(
        `update penstock.run set queued_at = queued_at - interval '1 day' where id = $1`,
        [second],
      );
      expect(await room.store.fetchUnblockedRuns()).toMatchObject([{ runId: due }]);
      expect(await verdictOf(second, due)).toEqual(['wait', 'start']);
      await end(due, 'settleCancel');
      expect(await room.store.fetchUnblockedRuns()).toMatchObject([{ runId: second }]);
    },
  );
});

describe('a cancelled backfill', () => {
  test('ends with the part that waits, or after the one at work, and none follows', async () => {
    const waiting = await plant();
    const queued = await waiting.start();
    expect(await backfills.cancel(waiting.scope, queued.id)).toMatchObject({
      status: 'cancelled',
      current: { status: 'cancelled' },
    });

    const working = await plant();
    const begun = await working.start();
    await verdictOf(begun.current.runId);
    expect(await backfills.cancel(working.scope, begun.id)).toMatchObject({
      status: 'cancelled',
      current: { status: 'cancelling' },
    });
    // It had committed all that it was to before it heard.
    await end(begun.current.runId);
    expect(await openRuns(working.syncId)).toEqual([]);
    expect(await working.look(begun)).toMatchObject({ status: 'cancelled', done: 1 });
  });

  test('is what becomes of one whose sync is deleted', async () => {
    const { start, scope, syncId } = await plant();
    const { id } = await start();
    await asTenant(room.pool, scope.tenantId, (tx) =>
      deleteSync(tx, scope, { ref: syncId, ifVersion: undefined }),
    );
    const { rows } = await room.pool.query('select status from penstock.backfill where id = $1', [id]);
    expect(rows).toEqual([{ status: 'cancelled' }]);
  });
});
