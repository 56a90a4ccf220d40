import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acme: Call;
let globex: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  [acme, globex] = (await Promise.all(
    ['acme', 'globex'].map(async (name) => fixture.as((await fixture.addTenant(name)).tenantId, 'admin')),
  )) as [Call, Call];
});
afterAll(() => fixture.drop());

let made = 0;
async function makeSync(over: object = {}): Promise<string> {
  const { body } = await acme('POST', '/v1/syncs', {
    name: `users-${(made += 1)}`,
    source: { connection: 'warehouse', query: 'select id, at from users' },
    destination: { connection: 'warehouse', table: `sync.users_${made}` },
    mode: 'upsert',
    key: ['id'],
    cursor: { column: 'at' },
    ...over,
  });
  return body.id;
}
const days = { from: '2030-01-01', to: '2030-01-03', every: '1d' };

describe('a backfill', () => {
  test('is accepted, says where to look, and is listed', async () => {
    const syncId = await makeSync();
    const { status, headers, body } = await acme('POST', `/v1/syncs/${syncId}/backfill`, days);
    expect([status, headers['location']]).toEqual([202, `/v1/backfills/${body.id}`]);
    expect(body).toMatchObject({ ...days, syncId, status: 'running', parts: 2, done: 0, rows: 0 });
    expect((await acme('GET', `/v1/backfills/${body.id}`)).body).toEqual(body);
    expect((await acme('GET', `/v1/backfills?syncId=${syncId}`)).body.items).toEqual([body]);
    const run = await acme('GET', `/v1/runs/${body.current.runId}`);
    expect(run.body).toMatchObject({ origin: 'backfill', backfillId: body.id, priority: 5 });
    expect(fixture.heard.offered.map(({ runId }) => runId)).toContain(body.current.runId);
    const cancelled = await acme('POST', `/v1/backfills/${body.id}/cancel`);
    expect(cancelled).toMatchObject({ status: 200, body: { status: 'cancelled' } });
    expect((await acme('POST', `/v1/backfills/${body.id}/cancel`)).body).toEqual(cancelled.body);
  });

  test('is one for one key, and one at a time', async () => {
    const url = `/v1/syncs/${await makeSync()}/backfill`;
    const first = await acme('POST', url, { ...days, requestKey: 'k' });
    expect((await acme('POST', url, { ...days, requestKey: 'k' })).body.id).toBe(first.body.id);
    expect(await acme('POST', url, days)).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT', meta: { backfillId: first.body.id } },
    });
    await acme('POST', `/v1/backfills/${first.body.id}/cancel`);
    expect((await acme('POST', url, days)).status).toBe(202);
  });

  test.each([
    [{ cursor: undefined }, {}, 409, 'NOT_BACKFILLABLE', '/cursor'],
    [{ mode: 'append' }, {}, 409, 'NOT_BACKFILLABLE', '/mode'],
    [{}, { to: '2029-01-01' }, 400, 'BAD_REQUEST', '/to'],
    [{}, { from: undefined }, 400, 'BAD_REQUEST', '/from'],
    [{}, { every: 'now and then' }, 400, 'BAD_REQUEST', '/every'],
  ])('of a sync with %p, with %p, is refused', async (spec, body, status, code, pointer) => {
    const refused = await acme('POST', `/v1/syncs/${await makeSync(spec)}/backfill`, { ...days, ...body });
    expect(refused).toMatchObject({ status, body: { code, pointer } });
  });

  test('of another tenant is not there', async () => {
    const syncId = await makeSync();
    const { body } = await acme('POST', `/v1/syncs/${syncId}/backfill`, days);
    for (const [method, url] of [
      ['POST', `/v1/syncs/${syncId}/backfill`],
      ['GET', `/v1/backfills/${body.id}`],
      ['POST', `/v1/backfills/${body.id}/cancel`],
    ] as const)
      expect(
        await globex(method, url, method === 'POST' && url.includes('syncs') ? days : undefined),
      ).toMatchObject({
        status: 404,
      });
    expect((await globex('GET', '/v1/backfills')).body.items).toEqual([]);
  });
});
