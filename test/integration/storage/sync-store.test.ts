import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync, SyncStore } from '../../../src/ports/sync-store.ts';
import {
  aConnection,
  aSpec,
  createControlFixture,
  hourly,
  type ControlFixture,
} from '../../support/control-fixture.ts';
import { aReceipt, plantRun } from '../../support/plant-run.ts';

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

let count = 0;
const named = (): string => `sync-${(count += 1)}`;
const every = hourly.schedule;

/** Moves a sync's next time into the past, as if nobody had looked for a while. */
const makeDue = (sync: Sync, ago: string) =>
  fixture.pool.query(
    `update penstock.sync set next_nominal_at = $3::timestamptz - $2::interval,
       next_due_at = $3::timestamptz - $2::interval where id = $1`,
    [sync.id, ago, new Date(hourly.lastMs)],
  );

const fetchSlots = async (sync: Sync) =>
  (
    await fixture.pool.query(
      'select outcome, run_id is not null as ran, sync_version from penstock.slot where sync_id = $1 order by nominal_at',
      [sync.id],
    )
  ).rows;

describe('a new sync', () => {
  test('keeps its spec with connections by id, knows its next time and tells the index', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    expect(sync).toMatchObject({ version: 1, status: 'active', tenantId: acme.tenantId, pause: null });
    expect(sync.spec.source.connection).toMatch(/^con_/);
    expect(Date.parse(sync.nextDueAt!)).toBe(hourly.lastMs + 3_600_000);
    expect(fixture.heard.due).toMatchObject([
      { syncId: sync.id, version: 1, nextDueAtMs: Date.parse(sync.nextDueAt!) },
    ]);
  });

  test('that is manual has no next time', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named() }));
    expect([sync.nextNominalAt, sync.nextDueAt]).toEqual([null, null]);
  });

  test.each(['source', 'destination'] as const)(
    'with a %s of a kind that cannot be one is refused there',
    async (end) => {
      const { id } = await fixture.store.connections.create(acme, aConnection({ name: named() }));
      await fixture.pool.query(`update penstock.connection set kind = 'toaster' where id = $1`, [id]);
      const spec = aSpec({ name: named() });
      const given = { ...spec, [end]: { ...spec[end], connection: id } };
      await expect(syncs.create(acme, given)).rejects.toMatchObject({
        code: 'BAD_REQUEST',
        pointer: `/${end}/connection`,
        message: expect.stringContaining('of kind toaster'),
      });
    },
  );

  test.each([
    ['source', { source: { connection: 'nowhere', query: 'select 1' } }],
    ['destination', { destination: { connection: 'nowhere', table: 't' } }],
  ])('with an unknown %s is refused at its pointer', async (end, over) => {
    await expect(syncs.create(acme, aSpec({ name: named(), ...over }))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      pointer: `/${end}/connection`,
    });
  });

  test('cannot use another tenant’s connection, not even by id', async () => {
    const { id } = await fixture.store.connections.fetch(globex, 'warehouse');
    await expect(
      syncs.create(acme, aSpec({ name: named(), source: { connection: id, query: 'select 1' } })),
    ).rejects.toMatchObject({ pointer: '/source/connection' });
  });

  test('has a name of its own in its tenant, which is free again once it is deleted', async () => {
    const name = named();
    await syncs.create(acme, aSpec({ name }));
    await expect(syncs.create(acme, aSpec({ name }))).rejects.toMatchObject({
      code: 'CONFLICT',
      pointer: '/name',
    });
    await syncs.create(globex, aSpec({ name }));
    await syncs.delete(acme, name, undefined);
    await syncs.create(acme, aSpec({ name }));
    await expect(syncs.fetch(fixture.operator, name)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  test('is saved though the index is away', async () => {
    fixture.away.value = true;
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    expect(await syncs.fetch(acme, sync.id)).toEqual(sync);
    expect(fixture.lines.join()).toContain('the sweep will find it');
  });
});

describe('another tenant’s sync', () => {
  test('is not there, by id or name, for any verb', async () => {
    const { id, spec } = await syncs.create(globex, aSpec({ name: named() }));
    for (const ref of [id, spec.name])
      for (const call of [
        () => syncs.fetch(acme, ref),
        () => syncs.replace(acme, ref, aSpec({ name: named() }), undefined),
        () => syncs.delete(acme, ref, undefined),
        () => syncs.pause(acme, ref, { reason: null, until: null }),
        () => syncs.resume(acme, ref),
        () => syncs.recordReset(acme, ref, 'reset'),
        () => syncs.listSlots(acme, ref, { limit: 1 }),
        () => fixture.store.runs.trigger(acme, ref, { requestKey: 'k', priority: undefined }),
      ])
        await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(
      (await syncs.list(acme, {}, { limit: 1000 })).items.every((s) => s.tenantId === acme.tenantId),
    ).toBe(true);
  });
});

describe('an edit', () => {
  test('settles what was due under the old spec first, and neither erases nor doubles it', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    await makeDue(sync, '0 h');
    fixture.forget();
    const next = await syncs.replace(
      acme,
      sync.id,
      aSpec({ name: sync.spec.name, schedule: { every: '2h' } }),
      1,
    );
    expect(await fetchSlots(sync)).toEqual([{ outcome: null, ran: true, sync_version: 1 }]);
    expect(fixture.heard.offered).toHaveLength(1);
    expect(fixture.heard.due).toMatchObject([{ version: 2, nextDueAtMs: Date.parse(next.nextDueAt!) }]);
    expect(Date.parse(next.nextDueAt!) % 7_200_000).toBe(0);
  });

  test('with a stale version is refused and changes nothing', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named() }));
    await syncs.replace(acme, sync.id, aSpec({ name: sync.spec.name, priority: 1 }), 1);
    await expect(
      syncs.replace(acme, sync.id, aSpec({ name: sync.spec.name, priority: 2 }), 1),
    ).rejects.toMatchObject({ code: 'VERSION_CONFLICT', meta: { version: 2 } });
    expect((await syncs.fetch(acme, sync.id)).spec.priority).toBe(1);
  });

  test('to an equal spec makes no version', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    expect(
      await syncs.replace(acme, sync.id, aSpec({ name: sync.spec.name, schedule: every }), undefined),
    ).toEqual(sync);
  });

  test('mends a broken sync', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    await fixture.pool.query(
      `update penstock.sync set status = 'broken', broken_reason = 'x', next_nominal_at = null, next_due_at = null where id = $1`,
      [sync.id],
    );
    const mended = await syncs.replace(
      acme,
      sync.id,
      aSpec({ name: sync.spec.name, schedule: every }),
      undefined,
    );
    expect(mended).toMatchObject({ status: 'active', brokenReason: null, version: 2 });
    expect(mended.nextDueAt).not.toBeNull();
  });

  test('of one sync by several at once makes each version once', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    const edits = await Promise.allSettled(
      [1, 2, 4, 5].map((priority) =>
        syncs.replace(acme, sync.id, aSpec({ name: sync.spec.name, schedule: every, priority }), 1),
      ),
    );
    expect(edits.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await syncs.fetch(acme, sync.id)).version).toBe(2);
  });
});

describe('a pause', () => {
  test('settles what was due before it, records what falls into it, and runs none of that when it ends', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    await makeDue(sync, '0 h');
    const paused = await syncs.pause(acme, sync.id, { reason: 'maintenance', until: null });
    expect(paused.pause).toMatchObject({ reason: 'maintenance', until: null });
    expect(await fetchSlots(sync)).toMatchObject([{ ran: true }]);
    await fixture.pool.query(
      `update penstock.pause set from_at = now() - interval '10 h' where sync_id = $1`,
      [sync.id],
    );
    await fixture.pool.query(
      `update penstock.slot set nominal_at = nominal_at - interval '9 h',
      nominal_to = nominal_to - interval '9 h' where sync_id = $1`,
      [sync.id],
    );
    await makeDue(sync, '8 h');
    fixture.forget();
    const resumed = await syncs.resume(acme, sync.id);
    expect(resumed.pause).toBeNull();
    expect(await fetchSlots(sync)).toMatchObject([{ ran: true }, { ran: false, outcome: 'skipped_paused' }]);
    // the run that was queued before the pause is offered again
    expect(fixture.heard.offered).toHaveLength(1);
    expect(Date.parse(resumed.nextDueAt!)).toBeGreaterThan(Date.now());
  });

  test('can be changed, and ended twice', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named() }));
    await syncs.pause(acme, sync.id, { reason: 'a', until: null });
    const until = '2999-01-01T00:00:00.000Z';
    expect((await syncs.pause(acme, sync.id, { reason: 'b', until })).pause).toMatchObject({
      reason: 'b',
      until,
    });
    expect((await syncs.resume(acme, sync.id)).pause).toBeNull();
    expect((await syncs.resume(acme, sync.id)).pause).toBeNull();
  });

  test('that would have ended already is refused', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named() }));
    await expect(
      syncs.pause(acme, sync.id, { reason: null, until: '2020-01-01T00:00:00Z' }),
    ).rejects.toMatchObject({ code: 'BAD_REQUEST', pointer: '/until' });
  });
});

describe('deleting a sync', () => {
  test('drops its queued runs, cancels active ones and takes it out of the index', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    const first = await fixture.store.runs.trigger(acme, sync.id, { requestKey: '1', priority: undefined });
    const second = await fixture.store.runs.trigger(acme, sync.id, { requestKey: '2', priority: undefined });
    await fixture.pool.query(`update penstock.run set status = 'running' where id = $1`, [first.run.id]);
    fixture.forget();
    await syncs.delete(acme, sync.id, 1);
    expect(fixture.heard.due).toEqual([{ syncId: sync.id, version: 1, nextDueAtMs: null }]);
    expect(fixture.heard.released).toEqual([second.run.id]);
    expect(fixture.told).toEqual([`cancel ${first.run.workflowId}`]);
    expect((await fixture.store.runs.fetch(acme, first.run.id)).status).toBe('cancelling');
    expect(await fixture.store.runs.fetch(acme, second.run.id)).toMatchObject({
      status: 'cancelled',
      endReason: 'sync_deleted',
    });
    await expect(syncs.fetch(acme, sync.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(
      fixture.store.runs.trigger(acme, sync.id, { requestKey: '3', priority: undefined }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('a reset', () => {
  test.each(['starting', 'running', 'pausing', 'paused', 'cancelling'])(
    'is refused while a run is %s',
    async (status) => {
      const sync = await syncs.create(acme, aSpec({ name: named() }));
      const { run } = await fixture.store.runs.trigger(acme, sync.id, {
        requestKey: 'r',
        priority: undefined,
      });
      await fixture.pool.query('update penstock.run set status = $2 where id = $1', [run.id, status]);
      await expect(syncs.recordReset(acme, sync.id, 'reset')).rejects.toMatchObject({
        code: 'RUN_STATE',
        meta: { runId: run.id },
      });
    },
  );

  test('is noted when nothing is at work; a queued run does not hinder it', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named() }));
    await fixture.store.runs.trigger(acme, sync.id, { requestKey: 'r', priority: undefined });
    expect(await syncs.recordReset(acme, sync.id, 'reset')).toBe(sync.id);
    const { rows } = await fixture.pool.query(
      `select kind from penstock.event where sync_id = $1 and kind = 'sync.reset'`,
      [sync.id],
    );
    expect(rows).toHaveLength(1);
  });
});

describe('the slots of a sync', () => {
  test('list newest first, page by page, with the outcome that their runs had', async () => {
    const sync = await syncs.create(acme, aSpec({ name: named(), schedule: every }));
    const states = [
      ['started', { status: 'succeeded', started_at: new Date(), ended_at: new Date(), receipt: aReceipt() }],
      ['failed_start', { status: 'failed', ended_at: new Date() }],
      ['missed', { status: 'cancelled', end_reason: 'missed', ended_at: new Date() }],
      [null, {}],
    ] as const;
    for (const [index, [, columns]] of states.entries()) {
      const nominal = new Date(Date.UTC(2026, 0, 1, index));
      const slot = { origin: 'schedule', nominal_at: nominal, due_at: nominal };
      const id = await plantRun(fixture.pool, sync.id, { ...slot, ...columns });
      await fixture.pool.query(
        `insert into penstock.slot (sync_id, nominal_at, nominal_to, tenant_id, sync_version, run_id) values ($1, $2, $2, $3, 1, $4)`,
        [sync.id, nominal, acme.tenantId, id],
      );
    }
    const first = await syncs.listSlots(acme, sync.id, { limit: 3 });
    const rest = await syncs.listSlots(acme, sync.id, { limit: 3, after: first.next! });
    expect([...first.items, ...rest.items].map((slot) => slot.outcome)).toEqual(
      states.map(([outcome]) => outcome).toReversed(),
    );
    expect(rest.next).toBeNull();
    expect(first.items[0]!.nominalAt).toBe('2026-01-01T03:00:00.000Z');
  });
});
