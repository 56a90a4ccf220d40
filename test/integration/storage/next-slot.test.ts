import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync, SyncStore } from '../../../src/ports/sync-store.ts';
import { settle } from '../../../src/storage/settle.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import {
  aSpec,
  createControlFixture,
  hourly as hours,
  type ControlFixture,
} from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let syncs: SyncStore;
let acme: Scope & { tenantId: TenantId };
beforeAll(async () => {
  fixture = await createControlFixture();
  syncs = fixture.store.syncs;
  acme = await fixture.addTenant('acme');
});
afterAll(() => fixture.drop());
beforeEach(() => fixture.forget());

const hourMs = 3_600_000;
const hourly = hours.schedule;
let count = 0;
const made = (schedule: object = hourly, over: object = {}): Promise<Sync> =>
  syncs.create(acme, aSpec({ name: `sync-${(count += 1)}`, schedule: schedule as typeof hourly, ...over }));
const specOf = ({ spec }: Sync, over: object = {}) =>
  aSpec({ name: spec.name, schedule: spec.schedule, ...over });
const after = (time: string | null, ms: number): string => new Date(Date.parse(time!) + ms).toISOString();

/** Sets back all that is known of the next slot by whole hours, as if so much time had passed. */
const passHours = (sync: Sync, hours: number) =>
  fixture.pool.query(
    `update penstock.sync set next_nominal_at = next_nominal_at - $2::interval,
       next_due_at = next_due_at - $2::interval, skipped_nominal_at = skipped_nominal_at - $2::interval,
       moved_nominal_at = moved_nominal_at - $2::interval, moved_due_at = moved_due_at - $2::interval
     where id = $1`,
    [sync.id, `${hours} h`],
  );
const settleNow = (sync: Sync) => asEngine(fixture.pool, (tx) => settle(tx, [sync.id]));
const fetchSlots = async (sync: Sync) =>
  (
    await fixture.pool.query(
      'select outcome, run_id is not null as ran from penstock.slot where sync_id = $1 order by nominal_at',
      [sync.id],
    )
  ).rows;
const fetchRuns = async (sync: Sync) =>
  (
    await fixture.pool.query<{ delayMs: number }>(
      `select (extract(epoch from due_at - nominal_at) * 1000)::float8 as "delayMs"
       from penstock.run where sync_id = $1`,
      [sync.id],
    )
  ).rows;

describe('skipping the next slot', () => {
  test('records it with its outcome and runs the one after it', async () => {
    const sync = await made();
    const skipped = await syncs.skipNext(acme, sync.id, { skip: true, nominalAt: sync.nextNominalAt });
    expect(skipped).toMatchObject({ nextIsSkipped: true, nextDueAt: sync.nextDueAt });
    await passHours(sync, 2);
    await settleNow(sync);
    expect(await fetchSlots(sync)).toEqual([
      { outcome: 'skipped_on_request', ran: false },
      { outcome: null, ran: true },
    ]);
    expect(await syncs.fetch(acme, sync.id)).toMatchObject({ nextIsSkipped: false });
  });

  test('again skips no other, and can be taken back', async () => {
    const sync = await made();
    const skip = (is: boolean) => syncs.skipNext(acme, sync.id, { skip: is, nominalAt: null });
    expect([await skip(true), await skip(true)]).toMatchObject([
      { nextIsSkipped: true },
      { nextIsSkipped: true },
    ]);
    expect(await skip(false)).toMatchObject({ nextIsSkipped: false, nextNominalAt: sync.nextNominalAt });
    await passHours(sync, 1);
    await settleNow(sync);
    expect(await fetchSlots(sync)).toEqual([{ outcome: null, ran: true }]);
  });

  test('means the slot that the caller has seen, and never one that has passed', async () => {
    const sync = await made();
    await passHours(sync, 1);
    const late = syncs.skipNext(acme, sync.id, { skip: true, nominalAt: after(sync.nextNominalAt, -hourMs) });
    await expect(late).rejects.toMatchObject({ code: 'CONFLICT', pointer: '/nominalAt' });
    const skipped = await syncs.skipNext(acme, sync.id, { skip: true, nominalAt: null });
    expect(await fetchSlots(sync)).toEqual([{ outcome: null, ran: true }]);
    expect(Date.parse(skipped.nextNominalAt!)).toBeGreaterThan(Date.now());
  });

  test('of a sync without one is refused', async () => {
    const manual = await made({ manual: true });
    for (const change of [
      syncs.skipNext(acme, manual.id, { skip: true, nominalAt: null }),
      syncs.moveNext(acme, manual.id, { to: null, nominalAt: null }),
    ])
      await expect(change).rejects.toMatchObject({
        code: 'CONFLICT',
        message: expect.stringContaining('no due time'),
      });
  });
});

describe('moving the next slot', () => {
  test('changes when it is due and not what it stands for', async () => {
    const sync = await made();
    const to = after(sync.nextNominalAt, 20 * 60_000);
    const moved = await syncs.moveNext(acme, sync.id, { to, nominalAt: sync.nextNominalAt });
    expect(moved).toMatchObject({ nextNominalAt: sync.nextNominalAt, nextDueAt: to });
    await passHours(sync, 1);
    await fixture.pool.query(
      `update penstock.sync set moved_due_at = moved_nominal_at + interval '1 ms', next_due_at = next_nominal_at + interval '1 ms'
       where id = $1`,
      [sync.id],
    );
    await settleNow(sync);
    expect(await fetchRuns(sync)).toEqual([{ delayMs: 1 }]);
  });

  test('lets nobody start it before: it is looked at from its own time on, and is not due', async () => {
    const sync = await made();
    await syncs.moveNext(acme, sync.id, { to: after(sync.nextNominalAt, hourMs - 1), nominalAt: null });
    await passHours(sync, 1);
    const [settled] = await settleNow(sync);
    expect(settled).toMatchObject({ wasDue: false, offered: [] });
    expect(await fetchSlots(sync)).toEqual([]);
  });

  test('is published as its own time, so that a change that is heard late makes no look late', async () => {
    const sync = await made();
    fixture.forget();
    await syncs.moveNext(acme, sync.id, { to: after(sync.nextNominalAt, 1_000), nominalAt: null });
    expect(fixture.heard.due).toMatchObject([
      { syncId: sync.id, nextDueAtMs: Date.parse(sync.nextNominalAt!) },
    ]);
  });

  test('can be taken back', async () => {
    const sync = await made();
    await syncs.moveNext(acme, sync.id, { to: after(sync.nextNominalAt, 1_000), nominalAt: null });
    const back = await syncs.moveNext(acme, sync.id, { to: null, nominalAt: null });
    expect(back.nextDueAt).toBe(sync.nextDueAt);
  });

  test.each([
    ['before its own time', -1],
    ['to the next one', hourMs],
  ])('%s is refused, with what to do instead', async (_, ms) => {
    const sync = await made();
    const move = syncs.moveNext(acme, sync.id, { to: after(sync.nextNominalAt, ms), nominalAt: null });
    await expect(move).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      pointer: '/to',
      message: expect.stringContaining('trigger the sync and skip'),
    });
  });
});

describe('an edit', () => {
  test('that leaves the schedule alone leaves its next slot alone', async () => {
    const sync = await made({ ...hourly, jitter: '30m' });
    await syncs.skipNext(acme, sync.id, { skip: true, nominalAt: null });
    const edited = await syncs.replace(acme, sync.id, specOf(sync, { priority: 1 }), undefined);
    expect(edited).toMatchObject({ version: 2, nextIsSkipped: true, nextNominalAt: sync.nextNominalAt });
  });

  test('that leaves the schedule alone loses no slot whose jitter has not passed', async () => {
    const sync = await made({ ...hourly, jitter: '30m' });
    await passHours(sync, 1);
    await fixture.pool.query(
      `update penstock.sync set moved_nominal_at = next_nominal_at, moved_due_at = now() + interval '1 min',
         next_due_at = now() + interval '1 min' where id = $1`,
      [sync.id],
    );
    const edited = await syncs.replace(acme, sync.id, specOf(sync, { priority: 1 }), undefined);
    expect(edited.nextNominalAt).toBe(after(sync.nextNominalAt, -hourMs));
  });

  test('of the schedule forgets what was decided about slots of the old one', async () => {
    const sync = await made();
    await syncs.skipNext(acme, sync.id, { skip: true, nominalAt: null });
    await syncs.moveNext(acme, sync.id, { to: after(sync.nextNominalAt, 1_000), nominalAt: null });
    const edited = await syncs.replace(
      acme,
      sync.id,
      specOf(sync, { schedule: { ...hourly, every: '60m' } }),
      undefined,
    );
    expect(edited).toMatchObject({ nextIsSkipped: false, nextDueAt: sync.nextNominalAt });
  });
});

describe('maxRuns', () => {
  test('ends the schedule with its last run, and counts anew when it is changed', async () => {
    const each = { catchUp: { window: '1d', policy: 'all' }, overlap: 'buffer_all' } as const;
    const sync = await made({ ...hourly, maxRuns: 3 }, each);
    await passHours(sync, 2);
    await settleNow(sync);
    expect(await fetchRuns(sync)).toHaveLength(2);
    expect((await syncs.fetch(acme, sync.id)).nextDueAt).not.toBeNull();
    await passHours(sync, 5);
    await settleNow(sync);
    expect(await fetchRuns(sync)).toHaveLength(3);
    expect(await fetchSlots(sync)).toEqual([1, 2, 3].map(() => ({ outcome: null, ran: true })));
    const over = await syncs.fetch(acme, sync.id);
    expect(over).toMatchObject({ status: 'active', nextNominalAt: null, nextDueAt: null });
    const edited = await syncs.replace(acme, sync.id, specOf(sync, { priority: 1, ...each }), undefined);
    expect(edited.nextDueAt).toBeNull();
    const changed = await syncs.replace(
      acme,
      sync.id,
      specOf(sync, { schedule: { ...hourly, maxRuns: 4 } }),
      undefined,
    );
    expect(changed.nextDueAt).not.toBeNull();
  });
});

test('a jittered slot is due in its own part of the hour, and its run by that time', async () => {
  const sync = await made({ ...hourly, jitter: '59m' });
  const delayMs = Date.parse(sync.nextDueAt!) - Date.parse(sync.nextNominalAt!);
  expect(delayMs).toBeGreaterThanOrEqual(0);
  expect(delayMs).toBeLessThan(59 * 60_000);
  expect(fixture.heard.due).toMatchObject([{ nextDueAtMs: Date.parse(sync.nextDueAt!) }]);
});
