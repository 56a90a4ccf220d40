import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { slackMsOf } from '../../../src/domain/priority.ts';
import type { Pool } from 'pg';
import { newId, runIdOf, type SyncId } from '../../../src/domain/ids.ts';
import { nextDue } from '../../../src/domain/schedule.ts';
import type { SettledSync } from '../../../src/ports/schedule-store.ts';
import { changeRun } from '../../../src/storage/run-status.ts';
import { settle } from '../../../src/storage/settle.ts';
import { asEngine, asTenant } from '../../../src/storage/transaction.ts';
import {
  auditSlots,
  createSchedulerRoom,
  everyMinute,
  fetchNowMs,
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

/** Writes a new version of the spec as an edit does. */
async function edit(planted: PlantedSyncs, schedule: unknown): Promise<SettledSync> {
  const syncId = planted.syncIds[0]!;
  return asTenant(pool, planted.tenantId, async (tx) => {
    await settle(tx, [syncId]);
    await tx.query(
      `insert into penstock.sync_version (sync_id, version, tenant_id, spec)
       select id, version + 1, tenant_id, $2 from penstock.sync where id = $1`,
      [syncId, { ...planted.spec, schedule }],
    );
    await tx.query(
      `update penstock.sync set version = version + 1, next_nominal_at = null, next_due_at = null where id = $1`,
      [syncId],
    );
    const [settled] = await settle(tx, [syncId]);
    return settled!;
  });
}

const pauseRow = (
  planted: PlantedSyncs,
  fromMs: number,
  untilMs: number | null,
  scope: 'sync' | 'tenant' | 'all',
) =>
  pool.query(
    'insert into penstock.pause (id, tenant_id, sync_id, from_at, until_at) values ($1, $2, $3, $4, $5)',
    [
      newId('pause'),
      scope === 'all' ? null : planted.tenantId,
      scope === 'sync' ? planted.syncIds[0] : null,
      new Date(fromMs),
      untilMs === null ? null : new Date(untilMs),
    ],
  );

describe('P8: every due time is accounted for', () => {
  test('after an outage inside the window the newest due time runs and the older ones are coalesced', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: everyMinute(now),
      sinceMs: now - 10 * minuteMs,
    });
    const settled = await settleOne(syncIds[0]!);
    expect(settled.offered).toHaveLength(1);
    expect(settled.nextDueAtMs).toBeGreaterThan(settled.settledAtMs);
    expect(await auditSlots(pool, syncIds[0]!, firstMs!)).toEqual({ coalesced: 9, run: 1 });
  });

  test('due times before the catch-up window are missed, in one row however many there are', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: { every: '1s' },
      sinceMs: now - 24 * 60 * minuteMs,
      spec: { catchUp: { window: '10m' } },
    });
    await settleOne(syncIds[0]!);
    const counts = await auditSlots(pool, syncIds[0]!, firstMs!);
    expect(counts['run']).toBe(1);
    expect(counts['missed']).toBeGreaterThan(23 * 60 * 60);
    expect(counts['coalesced']).toBeGreaterThanOrEqual(599);
    const { rows } = await pool.query('select count(*)::int as n from penstock.slot');
    expect(rows[0]).toEqual({ n: 3 });
  });

  test('while a run is open due times are skipped, and rows that follow each other are one', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, {
      schedule: { every: '100ms' },
      sinceMs: now - 1_000,
    });
    const syncId = syncIds[0]!;
    await settleOne(syncId);
    for (let n = 0; n < 3; n += 1) {
      let last: SettledSync | undefined;
      await waitUntil('another due time passes', async () => {
        last = await settleOne(syncId);
        return last.wasDue;
      });
      expect(last!.offered).toEqual([]);
    }
    const counts = await auditSlots(pool, syncId, firstMs!);
    expect(counts['run']).toBe(1);
    expect(counts['skipped_overlap']).toBeGreaterThanOrEqual(3);
    const { rows } = await pool.query(
      `select count(*)::int as n from penstock.slot where outcome = 'skipped_overlap'`,
    );
    expect(rows[0]).toEqual({ n: 1 });
  });

  test('a run that ended makes room for the next due time', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, { schedule: { every: '100ms' }, sinceMs: now - 500 });
    const syncId = syncIds[0]!;
    const [first] = (await settleOne(syncId)).offered;
    await asEngine(pool, (tx) => changeRun(tx, first!.runId, 'drop', { endReason: 'requested' }));
    await waitUntil('the next due time runs', async () => (await settleOne(syncId)).offered.length === 1);
    expect((await auditSlots(pool, syncId, firstMs!))['run']).toBe(2);
  });

  test.each(['sync', 'tenant', 'all'] as const)(
    'due times that a pause of the %s covers are recorded as skipped, the others run',
    async (scope) => {
      const now = await fetchNowMs(pool);
      const planted = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - 20 * minuteMs });
      await pauseRow(planted, now - 15 * minuteMs, now - 5 * minuteMs, scope);
      await settleOne(planted.syncIds[0]!);
      const counts = await auditSlots(pool, planted.syncIds[0]!, planted.firstMs!);
      expect(counts).toEqual({ coalesced: 9, skipped_paused: 10, run: 1 });
    },
  );

  test('a pause that lasts keeps its due times in one growing row', async () => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, { schedule: { every: '100ms' }, sinceMs: now - 500 });
    await pauseRow(planted, now - 60_000, null, 'sync');
    await settleOne(planted.syncIds[0]!);
    await waitUntil('a due time passes', async () => (await settleOne(planted.syncIds[0]!)).wasDue);
    const counts = await auditSlots(pool, planted.syncIds[0]!, planted.firstMs!);
    expect(Object.keys(counts)).toEqual(['skipped_paused']);
    expect((await pool.query('select from penstock.slot')).rowCount).toBe(1);
  });

  test('a row of slots does not grow over the run that a slot between has made', async () => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - 9 * minuteMs });
    const syncId = planted.syncIds[0]!;
    await pauseRow(planted, now - 20 * minuteMs, now - 4 * minuteMs, 'sync');
    await pauseRow(planted, now - 3 * minuteMs, null, 'tenant');
    await pool.query(
      `insert into penstock.slot (sync_id, nominal_at, nominal_to, tenant_id, sync_version, outcome)
       select id, next_nominal_at - interval '1 minute', next_nominal_at + interval '4 minutes', tenant_id, 1, 'skipped_paused'
       from penstock.sync where id = $1`,
      [syncId],
    );
    await pool.query(
      `update penstock.sync set next_nominal_at = next_nominal_at + interval '5 minutes',
         next_due_at = next_due_at + interval '5 minutes'`,
    );
    await settleOne(syncId);
    expect(await auditSlots(pool, syncId, planted.firstMs! - minuteMs)).toEqual({
      skipped_paused: 9,
      run: 1,
    });
  });
});

describe('settle', () => {
  test('offers a run of a tenant that wants strict order with the score of that', async () => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    await pool.query(`update penstock.tenant set run_order = 'strict' where id = $1`, [planted.tenantId]);
    const { offered, settledAtMs } = await settleOne(planted.syncIds[0]!);
    expect(offered).toMatchObject([{ score: settledAtMs + slackMsOf.strict[2]! }]);
  });

  test('queues a run with the identity, window and score that its slot says', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, tenantId, connectionId, firstMs } = await plantSyncs(pool, {
      schedule: everyMinute(now),
      sinceMs: now - minuteMs,
      spec: { priority: 4, catchUp: { window: '30m' } },
    });
    const { offered, settledAtMs } = await settleOne(syncIds[0]!);
    const nominalMs = firstMs!;
    const runId = runIdOf(syncIds[0]!, 'schedule', new Date(nominalMs).toISOString());
    const score = settledAtMs + 30 * minuteMs;
    expect(offered).toEqual([{ runId, tenantId, syncId: syncIds[0], connectionId, score }]);
    const { rows } = await pool.query(
      `select status, origin, due_at, start_before, priority, workflow_id from penstock.run where id = $1`,
      [runId],
    );
    expect(rows).toEqual([
      {
        status: 'queued',
        origin: 'schedule',
        due_at: new Date(nominalMs),
        start_before: new Date(nominalMs + 30 * minuteMs),
        priority: 4,
        workflow_id: `t-${tenantId.slice(4)}:s-1:${runId}`,
      },
    ]);
    const events = await pool.query(`select kind, run_id from penstock.event`);
    expect(events.rows).toEqual([{ kind: 'run.queued', run_id: runId }]);
  });

  test('changes nothing when it is done again', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds } = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - 90 * minuteMs });
    const first = await settleOne(syncIds[0]!);
    const second = await settleOne(syncIds[0]!);
    expect(second).toMatchObject({ wasDue: false, offered: [], nextDueAtMs: first.nextDueAtMs });
    expect((await pool.query('select from penstock.run')).rowCount).toBe(1);
  });

  test('never makes a slot before its due time', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds, firstMs } = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now });
    expect(await settleOne(syncIds[0]!)).toMatchObject({ wasDue: false, nextDueAtMs: firstMs, offered: [] });
    expect((await pool.query('select from penstock.slot')).rowCount).toBe(0);
  });

  test('plans a new sync from the moment it is settled', async () => {
    const { syncIds, spec } = await plantSyncs(pool, { schedule: { cron: '*/5 * * * *' } });
    await pool.query('update penstock.sync set next_nominal_at = null, next_due_at = null');
    const settled = await settleOne(syncIds[0]!);
    expect(settled.nextDueAtMs).toBe(nextDue(spec.schedule, settled.settledAtMs));
  });

  test('a one-off is due once, and manual never', async () => {
    const now = await fetchNowMs(pool);
    const at = await plantSyncs(pool, {
      schedule: { at: new Date(now - 1_000).toISOString() },
      sinceMs: now - 2_000,
    });
    const manual = await plantSyncs(pool, { schedule: { manual: true } });
    expect(await settleOne(at.syncIds[0]!)).toMatchObject({ nextDueAtMs: null, offered: [{}] });
    expect(await settleOne(at.syncIds[0]!)).toMatchObject({ nextDueAtMs: null, offered: [] });
    expect(await settleOne(manual.syncIds[0]!)).toMatchObject({ nextDueAtMs: null, offered: [] });
  });

  test('in the tenant’s role it sees its own syncs and no other tenant’s (P10)', async () => {
    const now = await fetchNowMs(pool);
    const own = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    const other = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    const settled = await asTenant(pool, own.tenantId, (tx) =>
      settle(tx, [...own.syncIds, ...other.syncIds]),
    );
    expect(settled.map((sync) => sync.syncId)).toEqual(own.syncIds);
    expect(settled[0]!.offered).toHaveLength(1);
    expect(
      (await pool.query('select from penstock.slot where tenant_id = $1', [other.tenantId])).rowCount,
    ).toBe(0);
  });

  test('a spec that throws breaks its own sync, with an event, and not the batch', async () => {
    const now = await fetchNowMs(pool);
    const bad = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    const good = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    await pool.query(
      `update penstock.sync_version set spec = jsonb_set(spec, '{schedule}', '{"cron": "H * * * *", "timezone": "UTC"}')
       where sync_id = $1`,
      [bad.syncIds[0]],
    );
    const settled = await asEngine(pool, (tx) => settle(tx, [...bad.syncIds, ...good.syncIds]));
    const bySync = new Map(settled.map((sync) => [sync.syncId, sync]));
    expect(bySync.get(bad.syncIds[0]!)).toMatchObject({ nextDueAtMs: null, wasDue: true });
    expect(bySync.get(good.syncIds[0]!)!.offered).toHaveLength(1);
    const { rows } = await pool.query(
      'select status, broken_reason from penstock.sync where id = $1',
      bad.syncIds as never,
    );
    expect(rows[0]).toMatchObject({
      status: 'broken',
      broken_reason: expect.stringContaining('SCHEDULE_INVALID'),
    });
    const events = await pool.query(`select sync_id from penstock.event where kind = 'sync.broken'`);
    expect(events.rows).toEqual([{ sync_id: bad.syncIds[0] }]);
  });

  test('a locked sync row does not hold the batch', async () => {
    const now = await fetchNowMs(pool);
    const { syncIds } = await plantSyncs(pool, {
      count: 3,
      schedule: everyMinute(now),
      sinceMs: now - minuteMs,
    });
    const holder = await pool.connect();
    await holder.query('begin');
    await holder.query('select from penstock.sync where id = $1 for update', [syncIds[1]]);
    const unknown = newId('sync');
    try {
      const settlement = await room.store.settle([...syncIds, unknown]);
      expect(new Set(settlement.settled.map((sync) => sync.syncId))).toEqual(
        new Set([syncIds[0], syncIds[2]]),
      );
      expect(settlement.lockedIds).toEqual([syncIds[1]]);
      expect(settlement.unknownIds).toEqual([unknown]);
    } finally {
      await holder.query('rollback');
      holder.release();
    }
  });
});

describe('an edit', () => {
  test('settles what was due under the old spec and plans the new one from the same instant', async () => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - 5 * minuteMs });
    const settled = await edit(planted, { every: '7m' });
    expect(settled.version).toBe(2);
    expect(settled.nextDueAtMs).toBe(nextDue({ every: '7m' }, settled.settledAtMs));
    const { rows } = await pool.query(
      `select sync_version, count(*)::int as n from penstock.slot group by sync_version`,
    );
    expect(rows).toEqual([{ sync_version: 1, n: 2 }]);
  });

  test('loses no due time between its two settlements, however long it takes', async () => {
    const planted = await plantSyncs(pool, { schedule: { every: '50ms' } });
    const syncId = planted.syncIds[0]!;
    const settled = await asTenant(pool, planted.tenantId, async (tx) => {
      const [before] = await settle(tx, [syncId]);
      await waitUntil('due times pass', async () => (await fetchNowMs(pool)) > before!.settledAtMs + 200);
      await tx.query('update penstock.sync set next_nominal_at = null, next_due_at = null where id = $1', [
        syncId,
      ]);
      const [after] = await settle(tx, [syncId]);
      return { before: before!, after: after! };
    });
    expect(settled.after.settledAtMs).toBe(settled.before.settledAtMs);
    await settleOne(syncId);
    await auditSlots(pool, syncId, planted.firstMs!);
  });

  test('waits for whoever settles the sync, and neither erases nor doubles a due time', async () => {
    const now = await fetchNowMs(pool);
    const planted = await plantSyncs(pool, { schedule: everyMinute(now), sinceMs: now - minuteMs });
    const syncId = planted.syncIds[0]!;
    await Promise.all([
      edit(planted, everyMinute(now)),
      ...Array.from({ length: 5 }, () => room.store.settle([syncId])),
      ...Array.from({ length: 5 }, () => settleOne(syncId)),
    ]);
    expect(await auditSlots(pool, syncId, planted.firstMs!)).toEqual({ run: 1 });
  });
});
