import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
beforeAll(async () => {
  fixture = await createApiFixture();
});
afterAll(() => fixture.drop());
beforeEach(() => fixture.forget());

let count = 0;
const newTenant = async (over: object = {}) =>
  (await fixture.asOperator('POST', '/v1/tenants', { name: `t-${(count += 1)}`, ...over })).body;

test('a tenant’s weight is changed with If-Match, and the schedule index hears of it at once', async () => {
  const { id } = await newTenant({ weight: 2 });
  fixture.forget();
  const changed = await fixture.asOperator(
    'PATCH',
    `/v1/tenants/${id}`,
    { weight: 3 },
    { 'if-match': '"1"' },
  );
  expect(changed).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { weight: 3, version: 2 } });
  expect(fixture.heard.limits).toMatchObject([{ tenantId: id, version: 2, weight: 3 }]);
  const stale = await fixture.asOperator('PATCH', `/v1/tenants/${id}`, { weight: 4 }, { 'if-match': '"1"' });
  expect(stale).toMatchObject({ status: 412, body: { code: 'VERSION_CONFLICT' } });
  expect((await fixture.asOperator('GET', `/v1/tenants/${id}`)).body.weight).toBe(3);
});

test('a tenant has a cap from the beginning, which is changed like its weight', async () => {
  expect(await newTenant()).toMatchObject({ weight: 1, maxRuns: 10, order: 'deadline' });
  const { id } = await newTenant({ maxRuns: 3 });
  fixture.forget();
  const changed = await fixture.asOperator('PATCH', `/v1/tenants/${id}`, { maxRuns: 50 });
  expect(changed).toMatchObject({ status: 200, body: { weight: 1, maxRuns: 50 } });
  expect(fixture.heard.limits).toMatchObject([{ tenantId: id, version: 2, weight: 1, maxRuns: 50 }]);
});

test('a tenant’s syncs are not due more often than it may, but for schedules that they have already', async () => {
  const { tenantId: id } = await fixture.addTenant('busy');
  const editor = await fixture.as(id, 'editor');
  const spec = (name: string, schedule: object) => ({
    name,
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'warehouse', table: 'sync.users' },
    mode: 'append',
    schedule,
  });
  const made = await editor('POST', '/v1/syncs', spec('eager', { every: '1m' }));
  expect(made.status).toBe(201);
  const limited = await fixture.asOperator('PATCH', `/v1/tenants/${id}`, { minInterval: '15m' });
  expect(limited).toMatchObject({ status: 200, body: { minInterval: '15m' } });
  const tooOften = { status: 400, body: { code: 'SCHEDULE_TOO_OFTEN', pointer: '/schedule' } };
  for (const schedule of [
    { every: '14m' },
    { cron: '0,14 3 29 2 *' },
    { anyOf: [{ cron: '0 * * * *' }, { every: '70m' }] },
  ])
    expect(await editor('POST', '/v1/syncs', spec('new', schedule))).toMatchObject(tooOften);
  expect((await editor('POST', '/v1/syncs', spec('new', { cron: '*/15 * * * *' }))).status).toBe(201);
  const patch = (body: object) => editor('PATCH', `/v1/syncs/${made.body.id}`, body);
  expect((await patch({ priority: 1 })).status).toBe(200);
  const refused = await patch({ schedule: { every: '2m' } });
  expect(refused).toMatchObject(tooOften);
  expect(refused.body.detail).toContain('write {every: "15m"}');
  expect(
    (await editor('POST', `/v1/syncs/${made.body.id}/plan`, { schedule: { every: '2m' } })).body,
  ).toMatchObject({
    ok: false,
    refusals: [{ code: 'SCHEDULE_TOO_OFTEN', pointer: '/schedule' }],
  });
  await fixture.asOperator('PATCH', `/v1/tenants/${id}`, { minInterval: null });
  expect((await patch({ schedule: { every: '2m' } })).status).toBe(200);
});

test('an index that is away fails no change of a tenant', async () => {
  const { name } = await newTenant();
  fixture.away.value = true;
  expect(await fixture.asOperator('PATCH', `/v1/tenants/${name}`, { weight: 5 })).toMatchObject({
    status: 200,
  });
});

test.each([{ weight: 0 }, { maxRuns: 0 }, { order: 'fifo' }, { weight: 1001 }, { weight: 1.5 }, { wait: 2 }])(
  'a tenant is not changed to %j',
  async (change) => {
    const { id } = await newTenant();
    expect(await fixture.asOperator('PATCH', `/v1/tenants/${id}`, change)).toMatchObject({ status: 400 });
  },
);

test('a tenant’s own admin does not change it', async () => {
  const { id } = await newTenant();
  const admin = await fixture.as(id, 'admin');
  expect(await admin('PATCH', `/v1/tenants/${id}`, { weight: 9 })).toMatchObject({ status: 403 });
});
