/** Priority and order changed while runs wait: the rows say so, and the index gets their new scores at once. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { RunId, TenantId } from '../../../src/domain/ids.ts';
import { readyScore, slackMsOf, type RunOrder } from '../../../src/domain/priority.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync } from '../../../src/ports/sync-store.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let acme: Scope & { tenantId: TenantId };
let count = 0;
beforeAll(async () => {
  fixture = await createControlFixture();
});
afterAll(() => fixture.drop());
beforeEach(async () => {
  acme = await fixture.addTenant(`acme-${(count += 1)}`);
});

const newSync = (priority: number): Promise<Sync> =>
  fixture.store.syncs.create(acme, aSpec({ name: `s-${(count += 1)}`, priority }));
async function trigger(sync: Sync, priority?: number): Promise<RunId> {
  const request = { requestKey: `${(count += 1)}`, priority };
  const { run } = await fixture.store.runs.trigger(acme, sync.id, request);
  fixture.forget();
  return run.id;
}
/** The score that a run has in some order, with some priority. */
async function scoreOf(runId: RunId, priority: number, order: RunOrder = 'deadline'): Promise<number> {
  const run = await fixture.store.runs.fetch(acme, runId);
  const [dueMs, queuedAtMs] = [Date.parse(run.dueAt), Date.parse(run.queuedAt)];
  return readyScore({ dueMs, queuedAtMs, priority }, slackMsOf[order]);
}
const heard = () => fixture.heard.offered.map(({ runId, score }) => [runId, score]);

test('a waiting run that gets another priority moves, once', async () => {
  const runId = await trigger(await newSync(5));
  expect(await fixture.store.runs.setPriority(acme, runId, 1)).toMatchObject({
    priority: 1,
    status: 'queued',
  });
  await fixture.store.runs.setPriority(acme, runId, 1);
  expect(heard()).toEqual([[runId, await scoreOf(runId, 1)]]);
});

test('a run that waits for no place is not moved', async () => {
  const runId = await trigger(await newSync(3));
  await fixture.store.runs.cancel(acme, runId);
  fixture.forget();
  await expect(fixture.store.runs.setPriority(acme, runId, 1)).rejects.toMatchObject({ code: 'RUN_STATE' });
  expect(heard()).toEqual([]);
});

test('another tenant’s run is not there to be moved', async () => {
  const runId = await trigger(await newSync(3));
  const globex = await fixture.addTenant(`globex-${count}`);
  await expect(fixture.store.runs.setPriority(globex, runId, 1)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a sync that gets another priority takes its waiting runs along, but not those that were given their own', async () => {
  const sync = await newSync(4);
  const [usual, own] = [await trigger(sync), await trigger(sync, 2)];
  const changed = { ...sync.spec, priority: 1 };
  await fixture.store.syncs.replace(acme, sync.id, changed, undefined);
  expect(heard()).toEqual(
    expect.arrayContaining([
      [usual, await scoreOf(usual, 1)],
      [own, await scoreOf(own, 2)],
    ]),
  );
  expect((await fixture.store.runs.fetch(acme, own)).priority).toBe(2);
});

test('a tenant that wants strict order gets it for what waits and for what comes, and back', async () => {
  const sync = await newSync(4);
  const waiting = await trigger(sync);
  const change = (order: RunOrder) =>
    fixture.store.tenants.update(fixture.operator, acme.tenantId, { order }, undefined);
  expect(await change('strict')).toMatchObject({ order: 'strict', weight: 1 });
  expect(heard()).toEqual([[waiting, await scoreOf(waiting, 4, 'strict')]]);
  const next = await trigger(sync);
  await fixture.store.runs.setPriority(acme, next, 2);
  expect(heard()).toEqual([[next, await scoreOf(next, 2, 'strict')]]);
  fixture.forget();
  await change('deadline');
  expect(new Set(heard().map(([runId]) => runId))).toEqual(new Set([waiting, next]));
  expect(heard()).toContainEqual([waiting, await scoreOf(waiting, 4)]);
});

test('without Redis a tenant’s strict order holds, too, and no tenant is last for it', async () => {
  await fixture.pool.query('truncate penstock.run, penstock.slot, penstock.run_attempt');
  const [low, high] = [await trigger(await newSync(2)), await trigger(await newSync(1))];
  const strict = acme.tenantId;
  acme = await fixture.addTenant(`other-${count}`);
  const others = [await trigger(await newSync(1)), await trigger(await newSync(1))];
  // by deadline alone the low one, which is the oldest, would be first
  await fixture.pool.query(
    `update penstock.run set due_at = due_at - interval '1 hour', queued_at = queued_at
    - interval '1 hour' where id = $1`,
    [low],
  );
  const store = createScheduleStore(fixture.pool);
  expect((await store.fetchAdmissible(100, 100))[0]).toBe(low);
  await fixture.store.tenants.update(fixture.operator, strict, { order: 'strict' }, undefined);
  const order = await store.fetchAdmissible(100, 100);
  expect(new Set(order.slice(0, 2))).toEqual(new Set([high, others[0]]));
  expect(new Set(order.slice(2))).toEqual(new Set([low, others[1]]));
});
