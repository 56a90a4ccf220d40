import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { newId } from '../../../src/domain/ids.ts';
import { createIndexComparison } from '../../../src/schedule/compare-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { refill } from '../../../src/schedule/refill.ts';
import {
  createSchedulerRoom,
  everyHour,
  fetchNowMs,
  plantSyncs,
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

const plant = async (count: number): Promise<PlantedSyncs> => {
  const planted = await plantSyncs(room.pool, { count, schedule: everyHour(await fetchNowMs(room.pool)) });
  await refill(room.deps({ index }), { again: true });
  return planted;
};
const scoreOf = (syncId: string): Promise<string | null> => room.redis.zscore(room.key('due'), syncId);
const driftLines = (): string[] => room.lines.filter((line) => line.includes('"index_drift"'));

describe('a schedule that the index has lost', () => {
  test('is found, written again, counted and told, with an event of its sync, while the others are left alone', async () => {
    const { syncIds, firstMs } = await plant(5);
    const [missing, late, early, fine] = syncIds as readonly string[] as [string, string, string, string];
    await room.redis.zrem(room.key('due'), missing);
    await room.redis.zadd(room.key('due'), firstMs! + 86_400_000, late, firstMs! - 3_600_000, early);
    await createIndexComparison(room.deps({ index }))();
    expect([await scoreOf(missing), await scoreOf(late)]).toEqual([String(firstMs), String(firstMs)]);
    expect([await scoreOf(early), await scoreOf(fine)]).toEqual([
      String(firstMs! - 3_600_000),
      String(firstMs),
    ]);
    expect(await index.fetchDrift()).toEqual({ missing: 1, late: 1 });
    expect(driftLines()).toHaveLength(1);
    expect(driftLines()[0]).toContain('"count":2');
    const events = async () =>
      (
        await room.pool.query<{ syncId: string; drift: string; tenants: boolean }>(
          `select e.sync_id as "syncId", e.data->>'drift' as drift, e.tenant_id = s.tenant_id as tenants
           from penstock.event e join penstock.sync s on s.id = e.sync_id
           where e.kind = 'sync.index_drift' order by 2 desc`,
        )
      ).rows;
    const noted = [
      { syncId: missing, drift: 'missing', tenants: true },
      { syncId: late, drift: 'late', tenants: true },
    ];
    expect(await events()).toEqual(noted);

    await createIndexComparison(room.deps({ index }))();
    expect(await index.fetchDrift()).toEqual({ missing: 1, late: 1 });
    expect(await events()).toEqual(noted);
  });

  test('is found by a running dispatcher', async () => {
    const { syncIds, firstMs } = await plant(3);
    await room.startDispatcher({ index });
    await room.redis.zrem(room.key('due'), syncIds[1]!);
    await waitUntil('it is there again', async () => (await scoreOf(syncIds[1]!)) === String(firstMs));
  });

  test('is found within sixty looks, a sixtieth of all in each', async () => {
    const { syncIds } = await plant(2_500);
    const last = syncIds.toSorted().at(-1)!;
    await room.redis.zrem(room.key('due'), last);
    const look = createIndexComparison(room.deps({ index }));
    await look();
    expect(await scoreOf(last)).toBeNull();
    for (let n = 2; n <= 60; n++) await look();
    expect(await scoreOf(last)).not.toBeNull();
  });
});

describe('no drift is', () => {
  test('what is on its way: lent to a dispatcher, put off by a clock that is ahead, or published a moment later', async () => {
    const { syncIds, firstMs } = await plant(3);
    const [lent, fresh] = syncIds as readonly string[] as [string, string];
    await room.pool.query(
      `update penstock.sync set next_nominal_at = now() - interval '1 second', next_due_at = now() - interval '1 second' where id = $1`,
      [lent],
    );
    await room.redis.zadd(room.key('due'), Date.now() + 900, lent);
    await room.redis.zrem(room.key('due'), fresh);
    const compared = createIndexComparison(room.deps({ index }))();
    await index.publishDue([{ syncId: fresh as never, version: 1, nextDueAtMs: firstMs }]);
    await compared;
    expect(await index.fetchDrift()).toEqual({ missing: 0, late: 0 });
  });

  test('a look that an hour’s difference of the clocks puts off', async () => {
    const { syncIds, firstMs } = await plant(1);
    const ahead = { ...room.store, fetchDueEntries: async () => ({ next: undefined, items: [entry] }) };
    const hourMs = 3_600_000;
    // The database's clock is an hour behind that of Redis: the look is an hour later by the latter.
    const entry = {
      syncId: syncIds[0]!,
      version: 1,
      nextDueAtMs: firstMs! - hourMs,
      inMs: firstMs! - Date.now(),
    };
    await createIndexComparison({ ...room.deps({ index }), store: ahead })();
    expect(await index.fetchDrift()).toEqual({ missing: 0, late: 0 });
  });

  test('what an index says that was not filled, or what a newer version has overtaken', async () => {
    const { syncIds, firstMs } = await plant(2);
    await index.publishDue([{ syncId: syncIds[0]!, version: 2, nextDueAtMs: firstMs! + 86_400_000 }]);
    const look = () =>
      index.compareDue([{ syncId: syncIds[0]!, version: 1, nextDueAtMs: firstMs, inMs: 1 }], { note: true });
    expect((await look()).drifted).toEqual([]);
    await room.redis.flushdb();
    expect(await look()).toEqual({ size: 0, drifted: [] });
    expect(
      (
        await index.compareDue([{ syncId: newId('sync'), version: 1, nextDueAtMs: 1, inMs: 1 }], {
          note: true,
        })
      ).drifted,
    ).toEqual([]);
  });
});
