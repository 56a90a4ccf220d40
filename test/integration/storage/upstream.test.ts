import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync, SyncStore } from '../../../src/ports/sync-store.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let syncs: SyncStore;
let acme: Scope & { tenantId: TenantId };
let globex: Scope & { tenantId: TenantId };
beforeAll(async () => {
  fixture = await createControlFixture();
  syncs = fixture.store.syncs;
  acme = await fixture.addTenant('acme');
  globex = await fixture.addTenant('globex');
});
afterAll(() => fixture.drop());
beforeEach(() => fixture.forget());

const specAfter = (name: string, sync: string) => aSpec({ name, schedule: { after: { sync } } });
const pointer = '/schedule/after/sync';

/** Syncs of which each comes after the one before. */
async function makeChain(...names: string[]): Promise<Sync[]> {
  const made: Sync[] = [];
  for (const [n, name] of names.entries())
    made.push(await syncs.create(acme, n === 0 ? aSpec({ name }) : specAfter(name, names[n - 1]!)));
  return made;
}

describe('a sync after another', () => {
  test('names it by name or id, keeps its id, and has no next time', async () => {
    const [orders, byName] = await makeChain('orders', 'items');
    const byId = await syncs.create(acme, specAfter('lines', orders!.id));
    for (const sync of [byName!, byId])
      expect(sync).toMatchObject({
        spec: { schedule: { after: { sync: orders!.id, when: 'succeeded' } } },
        nextNominalAt: null,
        nextDueAt: null,
      });
    expect(await syncs.replace(acme, 'items', specAfter('items', 'orders'), 1)).toMatchObject({ version: 1 });
  });

  test('is refused when that is not there, or is another tenant’s', async () => {
    const [theirs] = await makeChain('theirs');
    for (const ref of ['nobody', 'theirs', theirs!.id])
      await expect(syncs.create(globex, specAfter('mine', ref))).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        message: `there is no sync ${ref} of this tenant`,
        pointer,
      });
    const { refusals } = await syncs.check(globex, { spec: specAfter('mine', theirs!.id), id: null });
    expect(refusals).toMatchObject([{ code: 'BAD_REQUEST', pointer }]);
  });

  test('is refused when it would come after itself, over others or not, and says by which way', async () => {
    const [a] = await makeChain('a', 'b', 'c');
    const refusal = (way: string) => ({
      code: 'SCHEDULE_INVALID',
      message: expect.stringContaining(`The sync would come after itself: ${way};`),
      pointer,
    });
    await expect(syncs.replace(acme, 'a', specAfter('a', 'c'), 1)).rejects.toMatchObject(
      refusal('a after c after b after a'),
    );
    await expect(syncs.replace(acme, 'a', specAfter('a', 'a'), 1)).rejects.toMatchObject(
      refusal('a after a'),
    );
    const { refusals } = await syncs.check(acme, { spec: specAfter('a', 'c'), id: a!.id });
    expect(refusals).toMatchObject([refusal('a after c after b after a')]);
  });

  test('is refused at the end of a chain of 100, new or not, and a long circle is told whole', async () => {
    const names = Array.from({ length: 100 }, (_, n) => `link${n}`);
    await makeChain(...names);
    await makeChain('loose');
    const tooLong = {
      code: 'SCHEDULE_INVALID',
      message: expect.stringContaining('More than 100 syncs'),
      pointer,
    };
    await expect(syncs.create(acme, specAfter('next', 'link99'))).rejects.toMatchObject(tooLong);
    await expect(syncs.replace(acme, 'loose', specAfter('loose', 'link99'), 1)).rejects.toMatchObject(
      tooLong,
    );
    await expect(syncs.replace(acme, 'link0', specAfter('link0', 'link99'), 1)).rejects.toMatchObject({
      message: expect.stringContaining(`itself: link0 after ${names.toReversed().join(' after ')};`),
    });
    // The chain grows at its head, where only the rest of it is below: its end can still be changed.
    await syncs.replace(acme, 'link0', specAfter('link0', 'loose'), 1);
    const changed = { ...specAfter('link99', 'link98'), priority: 1 as const };
    expect(await syncs.replace(acme, 'link99', changed, 1)).toMatchObject({ version: 2 });
  });

  test('is refused as the 101st after the same one; those that are there can be changed', async () => {
    await makeChain('hub');
    for (let n = 0; n < 100; n++) await syncs.create(acme, specAfter(`spoke${n}`, 'hub'));
    await expect(syncs.create(acme, specAfter('spoke100', 'hub'))).rejects.toMatchObject({
      code: 'SCHEDULE_INVALID',
      message:
        '100 syncs come after sync hub already, and no more may; let this one come after one of those, or give it times of its own.',
      pointer,
    });
    const changed = { ...specAfter('spoke0', 'hub'), priority: 1 as const };
    expect(await syncs.replace(acme, 'spoke0', changed, 1)).toMatchObject({ version: 2 });
    await syncs.create(acme, specAfter('spoke100', 'spoke0'));
  });

  test('of two changes at once that would close a circle one is refused', async () => {
    await makeChain('left');
    await makeChain('right');
    const done = await Promise.allSettled([
      syncs.replace(acme, 'left', specAfter('left', 'right'), 1),
      syncs.replace(acme, 'right', specAfter('right', 'left'), 1),
    ]);
    expect(done.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('keeps the one before from being deleted, until it is changed or deleted itself', async () => {
    await makeChain('up', 'down1');
    await syncs.create(acme, specAfter('down2', 'up'));
    await expect(syncs.delete(acme, 'up', undefined)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: 'down1, down2 come after sync up, and would never be due again: change or delete them first',
    });
    await syncs.delete(acme, 'down1', undefined);
    await syncs.replace(acme, 'down2', aSpec({ name: 'down2' }), 1);
    await syncs.delete(acme, 'up', undefined);
  });

  test('cannot be put after one that is being deleted', async () => {
    await makeChain('going');
    const done = await Promise.allSettled([
      syncs.create(acme, specAfter('coming', 'going')),
      syncs.delete(acme, 'going', undefined),
    ]);
    expect(done.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('is looked at after a change: a run of the other may just have ended', async () => {
    await makeChain('first');
    const made = await syncs.create(acme, specAfter('second', 'first'));
    expect(fixture.heard.due.at(-1)).toMatchObject({ syncId: made.id, nextDueAtMs: expect.any(Number) });
  });
});
