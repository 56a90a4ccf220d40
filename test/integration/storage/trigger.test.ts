/** Triggers at the same moment, while runs are open, for later, and debounced; each key gives one run for ever. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import { planTrigger, type TriggerInput } from '../../../src/domain/trigger.ts';
import type { Run } from '../../../src/ports/run-control.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let acme: Scope & { tenantId: TenantId };
let syncId: string;
let count = 0;
beforeAll(async () => {
  fixture = await createControlFixture();
  acme = await fixture.addTenant('acme');
});
beforeEach(async () => {
  syncId = (await fixture.store.syncs.create(acme, aSpec({ name: `sync-${(count += 1)}` }))).id;
  fixture.forget();
});
afterAll(() => fixture.drop());

const trigger = async (input: TriggerInput = {}, requestKey?: string, priority?: number): Promise<Run> => {
  const plan = planTrigger(input);
  return (await fixture.store.runs.trigger(acme, syncId, { requestKey, priority, plan })).run;
};
const start = (run: Run) => createScheduleStore(fixture.pool).startRuns([run.id]);
const runsThere = async (): Promise<number> =>
  (await fixture.pool.query('select from penstock.run where sync_id = $1', [syncId])).rowCount!;

describe('while a run is open', () => {
  test('one waits, however many ask at once; an edited sync gets its own', async () => {
    const first = await trigger();
    await start(first);
    const answers = await Promise.all(Array.from({ length: 8 }, () => trigger()));
    expect(new Set(answers.map((run) => run.id)).size).toBe(1);
    expect(await runsThere()).toBe(2);
    const { spec } = await fixture.store.syncs.fetch(acme, syncId);
    await fixture.store.syncs.replace(acme, syncId, { ...spec, priority: 1 }, undefined);
    expect((await trigger({}, undefined, 3)).id).not.toBe(answers[0]!.id);
  });

  test('join answers the run at work, and its key answers it for ever', async () => {
    const first = await trigger();
    await start(first);
    expect((await trigger({ onRunning: 'join' }, 'mine')).id).toBe(first.id);
    await createScheduleStore(fixture.pool).failStart(first.id, { code: 'INTERNAL', message: 'over' });
    expect(await trigger({ onRunning: 'join' }, 'mine')).toMatchObject({ id: first.id, status: 'failed' });
    expect((await trigger({ onRunning: 'join' }, 'another')).id).not.toBe(first.id);
  });

  test('reject names the run that is in the way', async () => {
    const first = await trigger();
    await expect(trigger({ onRunning: 'reject' }, 'refused')).rejects.toMatchObject({
      code: 'CONFLICT',
      pointer: '/onRunning',
      meta: { runId: first.id },
    });
    await fixture.store.runs.cancel(acme, first.id);
    expect((await trigger({ onRunning: 'reject' }, 'refused')).id).not.toBe(first.id);
  });
});

describe('for later', () => {
  test('the run is due then, waits as not_due, and is offered when its time has come', async () => {
    const run = await trigger({ in: '1h' });
    expect(run).toMatchObject({ status: 'queued', waitingReason: 'not_due' });
    expect(Date.parse(run.dueAt) - Date.parse(run.queuedAt)).toBe(3_600_000);
    expect(fixture.heard.offered).toEqual([]);
    const store = createScheduleStore(fixture.pool);
    const before = await store.takeComeDue();
    expect(before.offers).toEqual([]);
    expect(before.nextInMs).toBeGreaterThan(3_500_000);
    await fixture.pool.query(`update penstock.run set due_at = now(), queued_at = now() where id = $1`, [
      run.id,
    ]);
    expect((await store.takeComeDue()).offers).toMatchObject([{ runId: run.id }]);
    expect(await store.takeComeDue()).toEqual({ offers: [], nextInMs: null });
  });

  test('a time that has passed means now', async () => {
    const run = await trigger({ at: '2020-01-01T00:00:00Z' });
    expect(run.dueAt).toBe(run.queuedAt);
    expect(fixture.heard.offered).toMatchObject([{ runId: run.id }]);
  });
});

describe('debounced', () => {
  test('triggers with one key are one run, put off each time but for ten waits at most', async () => {
    const debounce = { key: 'orders', for: '10m' };
    const first = await trigger({ debounce }, 'a');
    expect(Date.parse(first.dueAt) - Date.parse(first.queuedAt)).toBe(10 * 60_000);
    await fixture.pool.query(
      `update penstock.run set queued_at = queued_at - interval '8 min', due_at = due_at - interval '8 min' where id = $1`,
      [first.id],
    );
    const second = await trigger({ debounce }, 'b');
    expect(second.id).toBe(first.id);
    expect(Date.parse(second.dueAt) - Date.now()).toBeGreaterThan(8 * 60_000);
    expect((await trigger({ debounce: { key: 'users', for: '10m' } })).id).not.toBe(first.id);
    await fixture.pool.query(
      `update penstock.run set queued_at = queued_at - interval '95 min' where id = $1`,
      [first.id],
    );
    const last = await trigger({ debounce }, 'c');
    expect([last.id, last.dueAt]).toEqual([first.id, second.dueAt]);
    expect((await trigger({ debounce }, 'b')).id).toBe(first.id);
  });

  test('a run whose time has come is not put off: the next trigger makes another', async () => {
    const debounce = { key: 'orders', for: '10m' };
    const first = await trigger({ debounce });
    await fixture.pool.query('update penstock.run set due_at = queued_at where id = $1', [first.id]);
    expect((await trigger({ debounce })).id).not.toBe(first.id);
  });
});
