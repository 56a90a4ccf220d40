/** When a run may be skipped because its source is what it was for the run before. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { RunId, TenantId } from '../../../src/domain/ids.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import { noteFingerprint } from '../../../src/storage/source-fingerprint.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';
import { aReceipt, plantRun } from '../../support/plant-run.ts';

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
});
afterAll(() => fixture.drop());

/** A run of the sync's present version that is at work. */
const run = (): Promise<RunId> =>
  plantRun(fixture.pool, syncId, { status: 'running', started_at: new Date() });
const note = (id: RunId, fingerprint: string): Promise<boolean> =>
  asEngine(fixture.pool, (tx) => noteFingerprint(tx, id, fingerprint));
const receipt = aReceipt();
const end = (id: RunId, status: string, reason: string | null = null) =>
  fixture.pool.query(
    `update penstock.run set status = $2, ended_at = now(), end_reason = $3,
       receipt = case when $2 = 'succeeded' then $4::jsonb end where id = $1`,
    [id, status, reason, receipt],
  );
/** A run that found the source like this, and ended so. */
async function past(fingerprint: string, status: string, reason: string | null = null): Promise<void> {
  const id = await run();
  await note(id, fingerprint);
  await end(id, status, reason);
}

test('the first run is not skipped, the next is while the source is the same, also after runs that were skipped', async () => {
  expect(await note(await run(), 'a')).toBe(false);
  await fixture.pool.query(
    'update penstock.run set status = $2, ended_at = now(), receipt = $3 where sync_id = $1',
    [syncId, 'succeeded', receipt],
  );
  for (let n = 0; n < 2; n += 1) {
    const id = await run();
    expect(await note(id, 'a')).toBe(true);
    await end(id, 'cancelled', 'unchanged');
  }
  expect(await note(await run(), 'b')).toBe(false);
});

test.each(['failed', 'cancelled'])(
  'a run after one that %s is not skipped: it may have left something to do',
  async (status) => {
    await past('a', 'succeeded');
    await past('a', status);
    expect(await note(await run(), 'a')).toBe(false);
  },
);

test('a run that has begun to work goes on, though the source is again what it was', async () => {
  await past('a', 'succeeded');
  const id = await run();
  expect(await note(id, 'b')).toBe(false);
  expect(await note(id, 'a')).toBe(false);
});

test('a run that is being cancelled is not decided about', async () => {
  await past('a', 'succeeded');
  const id = await run();
  await fixture.pool.query(`update penstock.run set status = 'cancelling' where id = $1`, [id]);
  expect(await note(id, 'a')).toBe(false);
});

test('an edit and a reset make the next run work', async () => {
  await past('a', 'succeeded');
  const { spec } = await fixture.store.syncs.fetch(acme, syncId);
  await fixture.store.syncs.replace(acme, syncId, { ...spec, priority: 1 }, undefined);
  await past('a', 'succeeded');
  const id = await run();
  expect(await note(id, 'a')).toBe(true);
  await end(id, 'cancelled', 'unchanged');
  await fixture.store.syncs.recordReset(acme, syncId, 'reset');
  expect(await note(await run(), 'a')).toBe(false);
});

test('the first run after an edit is not skipped', async () => {
  await past('a', 'succeeded');
  const { spec } = await fixture.store.syncs.fetch(acme, syncId);
  await fixture.store.syncs.replace(acme, syncId, { ...spec, priority: 2 }, undefined);
  expect(await note(await run(), 'a')).toBe(false);
});
