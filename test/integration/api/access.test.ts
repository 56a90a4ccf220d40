import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { apiKeyRoles, covers, type ApiKeyRole } from '../../../src/domain/access.ts';
import type { TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acmeId: TenantId;
beforeAll(async () => {
  fixture = await createApiFixture();
  acmeId = (await fixture.addTenant('acme')).tenantId;
});
afterAll(() => fixture.drop());

/** Every route of the document, with the role that it says it needs. */
function documentedRoutes(): { method: string; url: string; role: ApiKeyRole }[] {
  const { paths = {} } = fixture.app.swagger() as {
    paths?: Record<string, Record<string, { description?: string }>>;
  };
  return Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(() => path.startsWith('/v1/'))
      .map(([method, { description = '' }]) => ({
        method: method.toUpperCase(),
        url: path.replaceAll(/\{[a-z]+\}/gi, 'x'),
        role: /Needs the role (\w+)/.exec(description)![1] as ApiKeyRole,
      })),
  );
}

describe('keys', () => {
  test('are needed everywhere but for health, the docs and the table of errors', async () => {
    const open = ['/livez', '/readyz', '/metrics', '/openapi.json', '/problems'];
    for (const url of open) expect([url, (await fixture.anonymous('GET', url)).status]).toEqual([url, 200]);
    const routes = documentedRoutes();
    expect(routes.length).toBeGreaterThan(30);
    for (const { method, url } of routes) {
      const answer = await fixture.anonymous(method as 'GET', url);
      expect([method, url, answer.status, answer.body.code]).toEqual([method, url, 401, 'UNAUTHENTICATED']);
      expect(answer.headers['www-authenticate']).toContain('Bearer');
    }
  });

  test.each(apiKeyRoles)('of the role %s may do what the document says, and nothing else', async (role) => {
    const call = await fixture.as(acmeId, role);
    for (const route of documentedRoutes()) {
      const { status, body } = await call(route.method as 'GET', route.url);
      const refused = status === 403 && body.detail.startsWith('this needs the role');
      expect([route.method, route.url, refused]).toEqual([
        route.method,
        route.url,
        !covers(role, route.role),
      ]);
    }
  });

  test.each([
    '',
    'Bearer',
    'Bearer x',
    'Basic cGtfeDp4',
    `Bearer pk_${'A'.repeat(43)}`,
    `Bearer pk_${'A'.repeat(5000)}`,
  ])('such as %j open nothing', async (authorization) => {
    expect((await fixture.anonymous('GET', '/v1/syncs', undefined, { authorization })).status).toBe(401);
  });

  test('are made, used, listed without the key, and revoked', async () => {
    const admin = await fixture.as(acmeId, 'admin');
    const made = await admin('POST', '/v1/api-keys', { name: 'ci', role: 'viewer' });
    expect(made).toMatchObject({
      status: 201,
      body: { key: expect.stringMatching(/^pk_/), tenantId: acmeId },
    });
    const headers = { authorization: `Bearer ${made.body.key}` };
    expect((await fixture.anonymous('GET', '/v1/syncs', undefined, headers)).status).toBe(200);
    expect((await admin('GET', '/v1/api-keys')).text).not.toContain(made.body.key);
    expect((await admin('DELETE', `/v1/api-keys/${made.body.id}`)).status).toBe(200);
    expect((await fixture.anonymous('GET', '/v1/syncs', undefined, headers)).status).toBe(401);
  });

  test('that are made with an Idempotency-Key are not kept', async () => {
    const admin = await fixture.as(acmeId, 'admin');
    const headers = { 'idempotency-key': 'k' };
    const first = await admin('POST', '/v1/api-keys', { name: 'ci', role: 'viewer' }, headers);
    const second = await admin('POST', '/v1/api-keys', { name: 'ci', role: 'viewer' }, headers);
    expect(first.body.key).not.toBe(second.body.key);
    expect((await fixture.pool.query('select from penstock.idempotency_key')).rowCount).toBe(0);
  });

  test('of a tenant’s admin make no tenant and no operator', async () => {
    const admin = await fixture.as(acmeId, 'admin');
    expect(await admin('POST', '/v1/tenants', { name: 'evil' })).toMatchObject({ status: 403 });
    expect((await admin('POST', '/v1/api-keys', { name: 'x', role: 'admin' })).body.tenantId).toBe(acmeId);
  });
});

describe('the document', () => {
  test('is OpenAPI 3.1, with a security scheme, problems, and components that exist', async () => {
    const { body } = await fixture.anonymous('GET', '/openapi.json');
    expect(body.openapi).toMatch(/^3\.1\./);
    const refs = [...JSON.stringify(body).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)].map(
      (m) => m[1],
    );
    expect(refs).toEqual(expect.arrayContaining(['Sync', 'Run', 'Problem']));
    for (const ref of refs) expect([ref, Object.hasOwn(body.components.schemas, ref!)]).toEqual([ref, true]);
    for (const operations of Object.values(
      body.paths as Record<string, Record<string, { summary?: string }>>,
    ))
      for (const operation of Object.values(operations)) expect(operation.summary).toBeTruthy();
  });

  test('has every route that docs name', async () => {
    const unnamed = (route: string): string => route.replaceAll(/\{\w+\}/g, '{}');
    const { body } = await fixture.anonymous('GET', '/openapi.json');
    const known = new Set(
      Object.entries(body.paths as Record<string, object>).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => unnamed(`${method.toUpperCase()} ${path}`)),
      ),
    );
    const pages = readdirSync('docs').filter((name) => name.endsWith('.md'));
    const named = pages.flatMap((name) => [
      ...readFileSync(join('docs', name), 'utf8').matchAll(
        /\b(GET|POST|PUT|PATCH|DELETE) (\/v1\/[a-z/{}-]+)/g,
      ),
    ]);
    expect(named.length).toBeGreaterThan(20);
    expect(named.map(([route]) => route).filter((route) => !known.has(unnamed(route)))).toEqual([]);
  });

  test('can be read in a browser without any other host', async () => {
    const page = await fixture.anonymous('GET', '/docs/');
    expect(page.status).toBe(200);
    expect(page.headers['content-security-policy']).toBeTruthy();
    expect(page.text).not.toMatch(/(src|href)="https?:/);
  });
});
