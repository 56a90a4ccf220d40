import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { runIdOf, type RunId, type SyncId } from '../../../src/domain/ids.ts';
import type { RunChange } from '../../../src/domain/run-states.ts';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import { queuePart } from '../../../src/storage/backfill-parts.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { createRunStore } from '../../../src/storage/run-store.ts';
import { changeRun, type RunPatch } from '../../../src/storage/run-status.ts';
import { fetchCadence } from '../../../src/storage/slot-rows.ts';
import { settle } from '../../../src/storage/settle.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { aReceipt, plantRun } from '../../support/plant-run.ts';
import {
  createSchedulerRoom,
  fetchNowMs,
  plantSyncs,
  type PlantedSyncs,
  type SchedulerRoom,
} from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: SchedulerRoom;
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(() => room.close());

type When = 'succeeded' | 'finished';

const receipt = aReceipt();

/** A sync that is triggered, and one that comes after it. */
async function plantPair(when: When = 'succeeded', spec: Partial<SyncSpecInput> = {}) {
  const planted: PlantedSyncs = await plantSyncs(room.pool, { count: 2, schedule: { manual: true }, spec });
  const [upstream, follower] = planted.syncIds as [SyncId, SyncId];
  await follow(planted, { upstream, follower, when });
  return { tenantId: planted.tenantId, upstream, follower };
}

interface Following {
  upstream: SyncId;
  follower: SyncId;
  when?: When;
}

async function follow(
  planted: PlantedSyncs,
  { upstream, follower, when = 'succeeded' }: Following,
): Promise<void> {
  await room.pool.query('update penstock.sync set after_sync_id = $2, after_when = $3 where id = $1', [
    follower,
    upstream,
    when,
  ]);
  await room.pool.query('update penstock.sync_version set spec = $2 where sync_id = $1', [
    follower,
    { ...planted.spec, schedule: { after: { sync: upstream, when } } },
  ]);
}
type Pair = Awaited<ReturnType<typeof plantPair>>;

const startRun = ({ upstream }: Pair): Promise<RunId> => plantRun(room.pool, upstream, { status: 'running' });
async function startPart({ tenantId, upstream: syncId }: Pair): Promise<RunId> {
  await room.pool.query(
    `insert into penstock.backfill (id, tenant_id, sync_id, request_key, window_from, window_to, parts)
     values ('bkf_1', $1, $2, 'k', '1', '2', 1)`,
    [tenantId, syncId],
  );
  const range = { from: '1', to: '2', every: null };
  const runId = await asEngine(room.pool, (tx) =>
    queuePart(tx, { ...range, id: 'bkf_1', tenantId, syncId, part: 1 }),
  );
  await room.store.startRuns([runId]);
  return runId;
}
async function endRun(
  pair: Pair,
  change: RunChange = 'succeed',
  patch: RunPatch = change === 'succeed' ? { receipt } : {},
): Promise<RunId> {
  const runId = await startRun(pair);
  await asEngine(room.pool, (tx) => changeRun(tx, runId, change, patch));
  // Ends of the same millisecond would be one due time.
  const endedMs = await fetchNowMs(room.pool);
  await waitUntil('the next millisecond', async () => (await fetchNowMs(room.pool)) > endedMs);
  return runId;
}

const settleOne = async (syncId: SyncId) => {
  const [settled] = await asEngine(room.pool, (tx) => settle(tx, [syncId]));
  return settled!;
};
const fetchSlots = async (syncId: SyncId) =>
  (
    await room.pool.query<{ outcome: string | null; runId: RunId | null; nominalAt: Date; single: boolean }>(
      `select outcome, run_id as "runId", nominal_at as "nominalAt", nominal_at = nominal_to as single
       from penstock.slot where sync_id = $1 order by nominal_at`,
      [syncId],
    )
  ).rows;
const endsLeft = async (): Promise<number> =>
  (await room.pool.query('select from penstock.upstream_end')).rowCount!;

describe('a sync that comes after another', () => {
  test('is due when a run of that succeeds: one slot, one run, whose identity is the end of the run', async () => {
    const pair = await plantPair();
    const runId = await endRun(pair);
    const { offered, nextDueAtMs } = await settleOne(pair.follower);
    const { rows } = await room.pool.query(
      `select id, origin, status, nominal_at, due_at = nominal_at as "isDue",
         nominal_at = (select date_trunc('milliseconds', ended_at) from penstock.run where id = $2) as "isTheEnd"
       from penstock.run where sync_id = $1`,
      [pair.follower, runId],
    );
    const [slot] = await fetchSlots(pair.follower);
    const id = runIdOf(pair.follower, 'after', slot!.nominalAt.toISOString());
    expect(rows).toMatchObject([{ id, origin: 'after', status: 'queued', isDue: true, isTheEnd: true }]);
    expect([offered.map((run) => run.runId), nextDueAtMs, await endsLeft()]).toEqual([[id], null, 0]);
    expect((await settleOne(pair.follower)).offered).toEqual([]);
    expect(await fetchSlots(pair.follower)).toHaveLength(1);
  });

  test.each([
    ['succeeded', 'fail', {}, 0],
    ['succeeded', 'settleCancel', {}, 0],
    ['finished', 'fail', {}, 1],
    ['finished', 'settleCancel', {}, 1],
    ['finished', 'settleCancel', { endReason: 'unchanged' }, 0],
  ] as const)(
    'when it says %s: of a run that ends by %s %p it has %i slots',
    async (when, change, patch, slots) => {
      const pair = await plantPair(when);
      await endRun(pair, change, patch);
      await settleOne(pair.follower);
      expect(await fetchSlots(pair.follower)).toHaveLength(slots);
    },
  );

  test('is due by an end that waited for its run’s row while the sync came to follow it', async () => {
    const planted = await plantSyncs(room.pool, { count: 2, schedule: { manual: true } });
    const [upstream, follower] = planted.syncIds as [SyncId, SyncId];
    const runId = await plantRun(room.pool, upstream, { status: 'running' });
    const holder = await room.pool.connect();
    await holder.query('begin');
    await holder.query('select from penstock.run where id = $1 for no key update', [runId]);
    const ending = asEngine(room.pool, (tx) => changeRun(tx, runId, 'succeed', { receipt }));
    const waiting = `select from pg_stat_activity
      where wait_event_type = 'Lock' and datname = current_database() and query like '%ended_at = case%'`;
    await waitUntil('the end waits', async () => (await room.pool.query(waiting)).rowCount === 1);
    await follow(planted, { upstream, follower });
    await holder.query('commit');
    holder.release();
    await ending;
    expect(await endsLeft()).toBe(1);
  });

  test('is not due after a part of a backfill, and not after a run that was dropped from the queue', async () => {
    const pair = await plantPair('finished');
    const part = await startPart(pair);
    await asEngine(room.pool, (tx) => changeRun(tx, part, 'succeed', { receipt }));
    const dropped = await plantRun(room.pool, pair.upstream);
    await asEngine(room.pool, (tx) => changeRun(tx, dropped, 'drop', { endReason: 'missed' }));
    expect(await endsLeft()).toBe(0);
  });

  test('of several ends runs the newest, or by its policies; each end is a slot', async () => {
    const newest = await plantPair();
    for (let n = 0; n < 3; n += 1) await endRun(newest);
    await settleOne(newest.follower);
    const slots = await fetchSlots(newest.follower);
    expect(slots.map(({ outcome, single }) => ({ outcome, single }))).toEqual([
      { outcome: 'coalesced', single: true },
      { outcome: 'coalesced', single: true },
      { outcome: null, single: true },
    ]);
    await endRun(newest);
    await settleOne(newest.follower);
    expect((await fetchSlots(newest.follower)).at(-1)).toMatchObject({ outcome: 'skipped_overlap' });
    const cadence = await asEngine(room.pool, (tx) => fetchCadence(tx, newest.follower, 100));
    expect(cadence).toMatchObject({
      dueTimes: 4,
      outcomes: { coalesced: 2, waiting: 1, skipped_overlap: 1 },
    });

    const each = await plantPair('succeeded', {
      overlap: 'buffer_all',
      catchUp: { window: '1h', policy: 'all' },
    });
    for (let n = 0; n < 3; n += 1) await endRun(each);
    await settleOne(each.follower);
    const ids = (await fetchSlots(each.follower)).map((slot) => slot.runId!);
    const verdicts = await room.store.startRuns(ids.toReversed());
    expect(ids.map((id) => verdicts.find((v) => v.runId === id)!.verdict)).toEqual(['start', 'wait', 'wait']);
  });

  test('that was paused when the run ended does not run, also when it is settled after the pause', async () => {
    const pair = await plantPair();
    const { rows } = await room.pool.query<{ at: Date }>('select clock_timestamp() as at');
    await endRun(pair);
    await room.pool.query(
      `insert into penstock.pause (id, tenant_id, sync_id, from_at, until_at)
       values ('pau_1', $1, $2, $3, clock_timestamp())`,
      [pair.tenantId, pair.follower, rows[0]!.at],
    );
    await settleOne(pair.follower);
    expect(await fetchSlots(pair.follower)).toMatchObject([{ outcome: 'skipped_paused', runId: null }]);
  });

  test('found later than its catch-up window is missed', async () => {
    const pair = await plantPair('succeeded', { catchUp: { window: '1m' } });
    await endRun(pair);
    await room.pool.query(`update penstock.upstream_end set nominal_at = nominal_at - interval '2 minutes'`);
    await settleOne(pair.follower);
    expect(await fetchSlots(pair.follower)).toMatchObject([{ outcome: 'missed' }]);
  });

  test('that has got another schedule since is not due by an end that was written as it did', async () => {
    const pair = await plantPair();
    await endRun(pair);
    await room.pool.query(
      `update penstock.sync_version set spec = spec || '{"schedule": {"manual": true}}' where sync_id = $1`,
      [pair.follower],
    );
    await settleOne(pair.follower);
    expect([await fetchSlots(pair.follower), await endsLeft()]).toEqual([[], 0]);
  });
});

describe('the dispatcher', () => {
  const runStore = (publishDue: 'heard' | 'lost') =>
    createRunStore({
      pool: room.pool,
      secretBox: createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]),
      announcer:
        publishDue === 'heard' ? room.deps().index : { ...room.deps().index, publishDue: async () => {} },
      logger: createKeptLogger().logger,
    });
  const startedAfter = async ({ follower }: Pair, times: number): Promise<void> =>
    waitUntil(`it has started ${times} times`, () => {
      const started = room.starter.started.filter((run) => run.syncId === follower);
      return started.length === times;
    });

  test('starts it at once when the run before has ended, again and again, without a sweep', async () => {
    const pair = await plantPair();
    await room.startDispatcher({ options: { ...room.deps().options, sweepEveryMs: 60_000 } });
    for (const times of [1, 2]) {
      await runStore('heard').succeed(await startRun(pair), receipt, []);
      await startedAfter(pair, times);
      const [run] = room.starter.started.filter((one) => one.syncId === pair.follower).toReversed();
      await runStore('heard').settleCancel(run!.runId);
    }
    await waitUntil(
      'the index looks at it no more',
      async () => (await room.redis.zcard(room.key('due'))) === 0,
    );
  });

  test('finds by its sweep the end of a run of which the index did not hear', async () => {
    const pair = await plantPair();
    await room.startDispatcher();
    await runStore('lost').succeed(await startRun(pair), receipt, []);
    await startedAfter(pair, 1);
  });

  test('leaves in the index an end that was published while the one before was settled', async () => {
    const pair = await plantPair();
    const index = await room.openIndex();
    await endRun(pair);
    await room.startDispatcher({
      options: { ...room.deps().options, sweepEveryMs: 60_000 },
      store: {
        ...room.store,
        settle: async (syncIds) => {
          const settlement = await room.store.settle(syncIds);
          const isFirst = settlement.settled.some((sync) => sync.offered.length > 0);
          if (isFirst) await runStore('heard').succeed(await startRun(pair), receipt, []);
          return settlement;
        },
      },
    });
    await index.publishDue([{ syncId: pair.follower, version: 1, nextDueAtMs: Date.now() }]);
    await waitUntil('both ends have a slot', async () => (await fetchSlots(pair.follower)).length === 2);
  });
});
