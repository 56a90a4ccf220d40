/** Pauses of a tenant and of all, over the API: what they do to due times and queued runs, and who may. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunId, SyncId, TenantId } from '../../../src/domain/ids.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let operator: Call;
let acme: Call;
let acmeId: TenantId;
let globex: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  operator = fixture.asOperator;
  acmeId = (await fixture.addTenant('acme')).tenantId;
  acme = await fixture.as(acmeId, 'admin');
  globex = await fixture.as((await fixture.addTenant('globex')).tenantId, 'admin');
});
afterEach(async () => {
  await fixture.pool.query('update penstock.pause set until_at = from_at');
});
afterAll(() => fixture.drop());

let count = 0;
async function makeSync(): Promise<SyncId> {
  const { body } = await acme('POST', '/v1/syncs', {
    name: `sync-${(count += 1)}`,
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'warehouse', table: `sync.t${count}` },
    mode: 'append',
    schedule: { every: '1h' },
  });
  return body.id;
}

describe.each([
  ['a tenant', '/v1/tenants/acme', 'tenant'],
  ['all', '/v1', 'all'],
])('a pause of %s', (_, url, of) => {
  const objectOf = (): string => (of === 'all' ? 'all' : acmeId);

  test('records the due times that it covers, keeps queued runs waiting, and offers them when it ends', async () => {
    const store = createScheduleStore(fixture.pool);
    const syncId = await makeSync();
    const { body: queued } = await acme('POST', `/v1/syncs/${syncId}/trigger`);
    const terms = { reason: 'moving house', until: '2999-01-01T00:00:00.000Z' };
    const paused = await operator('POST', `${url}/pause`, terms);
    expect(paused).toMatchObject({
      status: 200,
      body: { ...terms, tenantId: of === 'all' ? null : acmeId, syncId: null },
    });
    expect(await store.startRuns([queued.id])).toMatchObject([{ verdict: 'wait', reason: `${of}_paused` }]);
    await fixture.pool.query(
      `update penstock.pause set from_at = now() - interval '5 h' where until_at > now()`,
    );
    await fixture.pool.query(
      `update penstock.sync set next_nominal_at = date_trunc('hour', now()) - interval '4 h',
         next_due_at = date_trunc('hour', now()) - interval '4 h' where id = $1`,
      [syncId],
    );
    await store.settle([syncId]);
    const { body: slots } = await acme('GET', `/v1/syncs/${syncId}/slots`);
    expect(slots.items.map((slot: { outcome: string }) => slot.outcome)).toEqual(['skipped_paused']);

    fixture.forget();
    expect((await operator('POST', `${url}/resume`)).status).toBe(204);
    expect(fixture.heard.offered.map((run) => run.runId)).toContain(queued.id);
    expect(await store.startRuns([queued.id as RunId])).toMatchObject([{ verdict: 'start' }]);
    expect((await operator('POST', `${url}/resume`)).status).toBe(204);
    await store.failStart(queued.id, { code: 'INTERNAL', message: 'it is over' });
  });

  test('may be changed while it lasts, and is audited', async () => {
    const { body: first } = await operator('POST', `${url}/pause`, { reason: 'a' });
    const { body: second } = await operator('POST', `${url}/pause`, { reason: 'b' });
    expect(second).toEqual({ ...first, reason: 'b' });
    await operator('POST', `${url}/resume`);
    const audit = await fixture.pool.query(
      `select action, api_key_id is not null as "byKey", data from penstock.audit
       where object_id = $1 and action like $2 order by id desc limit 3`,
      [objectOf(), `${of}.%`],
    );
    expect(audit.rows).toEqual([
      { action: `${of}.resume`, byKey: true, data: {} },
      { action: `${of}.pause`, byKey: true, data: { reason: 'b', until: null } },
      { action: `${of}.pause`, byKey: true, data: { reason: 'a', until: null } },
    ]);
    const events = await fixture.pool.query(
      'select kind from penstock.event where kind like $1 order by id',
      [`${of}.%`],
    );
    expect(events.rows.slice(-2)).toEqual([{ kind: `${of}.paused` }, { kind: `${of}.resumed` }]);
  });

  test('is the operator’s: no tenant opens or ends one', async () => {
    await operator('POST', `${url}/pause`);
    for (const verb of ['pause', 'resume'])
      expect(await acme('POST', `${url}/${verb}`)).toMatchObject({
        status: 403,
        body: { code: 'FORBIDDEN' },
      });
    expect((await acme('GET', '/v1/pauses')).body.items).toHaveLength(1);
  });

  test('that would have ended already is refused', async () => {
    expect(await operator('POST', `${url}/pause`, { until: '2020-01-01T00:00:00Z' })).toMatchObject({
      status: 400,
      body: { pointer: '/until' },
    });
  });
});

test('the list has what is in force, and nothing of another tenant', async () => {
  const syncId = await makeSync();
  await acme('POST', `/v1/syncs/${syncId}/pause`, { reason: 'mine' });
  await operator('POST', '/v1/tenants/acme/pause', { reason: 'bill' });
  await operator('POST', '/v1/pause', { reason: 'fire' });
  const reasons = async (call: Call, query = ''): Promise<string[]> =>
    (await call('GET', `/v1/pauses${query}`)).body.items.map((pause: { reason: string }) => pause.reason);
  expect(await reasons(operator)).toEqual(['mine', 'bill', 'fire']);
  expect(await reasons(operator, '?tenantId=globex')).toEqual(['fire']);
  expect(await reasons(acme)).toEqual(['mine', 'bill', 'fire']);
  expect(await reasons(globex)).toEqual(['fire']);
  await operator('POST', '/v1/resume');
  await operator('POST', '/v1/tenants/acme/resume');
  expect(await reasons(operator)).toEqual(['mine']);
});

test('a tenant that is not there cannot be paused', async () => {
  expect(await operator('POST', '/v1/tenants/nobody/pause')).toMatchObject({ status: 404 });
});
