/** A tenant's key against the operator's database: whatever it asks for, it gets the tables and rows of its grant. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acme: Call;
let globex: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  acme = await fixture.as((await fixture.addTenant('acme')).tenantId, 'admin');
  globex = await fixture.as((await fixture.addTenant('globex')).tenantId, 'admin');
  const { body } = await acme('GET', '/v1/connections/warehouse');
  const {
    id: _id,
    tenantId: _t,
    version: _v,
    createdAt: _c,
    updatedAt: _u,
    coolUntil: _cool,
    ...settings
  } = body;
  for (const name of ['app-db', 'shared-db'])
    await fixture.asOperator('POST', '/v1/connections', { ...settings, name, password: 'hush' });
  const grant = (connection: string, tenant: string, body: object) =>
    fixture.asOperator('PUT', `/v1/connections/${connection}/grants/${tenant}`, body);
  await grant('app-db', 'acme', { tablePattern: 'sync.acme_*' });
  await grant('shared-db', 'acme', { tablePattern: 'sync.users', scope: { tenant: 'acme' } });
  await grant('shared-db', 'globex', { tablePattern: 'sync.users', scope: { tenant: 'globex' } });
});
afterAll(() => fixture.drop());

let count = 0;
const spec = (connection: string, table: string, over: object = {}) => ({
  name: `sync-${(count += 1)}`,
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection, table },
  mode: 'upsert',
  key: ['id'],
  ...over,
});

describe('a table outside of the pattern is refused,', () => {
  test.each([
    ['of another tenant with a like name', 'sync.acme2_users'],
    ['by a character that a like-pattern would take for any', 'sync.acmeXusers'],
    ['in another schema', 'public.acme_users'],
    ['by a schema that begins alike', 'sync2.acme_users'],
    ['in another case, which is another table', 'Sync.Acme_users'],
    ['by a name without a schema, wherever that leads', 'acme_users'],
    ['by quotes', '"sync"."acme_users"'],
    ['by three names', 'postgres.sync.acme_users'],
    ['by a comment', 'sync.globex/*.acme_*/'],
    ['of Penstock’s own', '_penstock.target'],
    ['of the server’s', 'pg_catalog.pg_class'],
    ['by a name that the server would cut', `sync.acme_${'é'.repeat(40)}`],
    ['by half a character', 'sync.acme_\ud800'],
  ])('%s', async (_, table) => {
    const wanted = spec('app-db', table);
    const { body } = await acme('POST', '/v1/syncs', wanted);
    expect(body).toMatchObject({
      code: expect.stringMatching(/^(FORBIDDEN|BAD_REQUEST)$/),
      pointer: '/destination/table',
    });
    if (body.code !== 'FORBIDDEN') return;
    const planned = await acme('POST', '/v1/syncs/plan', wanted);
    expect(planned.body).toMatchObject({
      ok: false,
      refusals: [{ code: 'FORBIDDEN', pointer: '/destination/table' }],
    });
  });

  test('also when a sync that was allowed is changed, and by who was granted nothing', async () => {
    const { body, status } = await acme('POST', '/v1/syncs', spec('app-db', 'sync.acme_users'));
    expect(status).toBe(201);
    const { name } = body;
    const moved = { ...spec('app-db', 'sync.globex_users'), name };
    expect(await acme('PUT', `/v1/syncs/${body.id}`, moved)).toMatchObject({
      status: 403,
      body: { pointer: '/destination/table' },
    });
    const refused = await globex('POST', '/v1/syncs', spec('app-db', 'sync.acme_users'));
    expect(refused.status).toBeGreaterThanOrEqual(400);
  });
});

describe('rows of another scope are refused', () => {
  test.each([
    ['without a scope', {}, '/scope/tenant'],
    ['with the other tenant’s', { scope: { tenant: 'globex' } }, '/scope/tenant'],
    ['with another column', { scope: { tenants: 'acme' } }, '/scope/tenant'],
    ['in another case', { scope: { tenant: 'Acme' } }, '/scope/tenant'],
  ])('%s', async (_, over, pointer) => {
    const answer = await acme('POST', '/v1/syncs', spec('shared-db', 'sync.users', over));
    expect(answer).toMatchObject({ status: 403, body: { code: 'FORBIDDEN', pointer } });
    expect(JSON.stringify(answer.body)).not.toContain('globex"');
  });

  test('and those of the grant are the tenant’s, as long as a sync writes them', async () => {
    const own = { scope: { tenant: 'acme', region: 'eu' } };
    expect((await acme('POST', '/v1/syncs', spec('shared-db', 'sync.users', own))).status).toBe(201);
    const narrowed = { tablePattern: 'sync.users', scope: { tenant: 'acme2' } };
    expect(await fixture.asOperator('PUT', '/v1/connections/shared-db/grants/acme', narrowed)).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT' },
    });
  });
});

test.each([
  ['a pattern without a schema', { tablePattern: 'users' }],
  ['a pattern with quotes', { tablePattern: '"sync".users' }],
  ['a role that stands for the login', { tablePattern: 'sync.users', databaseRole: 'none' }],
])('the operator cannot grant %s', async (_, body) => {
  expect((await fixture.asOperator('PUT', '/v1/connections/app-db/grants/globex', body)).status).toBe(400);
});
