import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { PenstockError } from '../../../src/domain/errors.ts';
import type { TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acmeId: TenantId;
let acme: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  acmeId = (await fixture.addTenant('acme')).tenantId;
  acme = await fixture.as(acmeId, 'admin');
});
afterAll(() => fixture.drop());
beforeEach(() => {
  fixture.asked.length = 0;
  fixture.apiLines.length = 0;
});

let count = 0;
const connection = (over: object = {}) => ({
  name: `db-${(count += 1)}`,
  kind: 'postgres',
  host: 'db.example.com',
  database: 'shop',
  user: 'reader',
  password: 'correct horse battery',
  ...over,
});

describe('a connection', () => {
  test('never shows its password: not in an answer, not in the log', async () => {
    const made = await acme('POST', '/v1/connections', connection());
    expect(made).toMatchObject({
      status: 201,
      headers: { etag: '"1"' },
      body: { port: 5432, tls: { mode: 'verify-full' } },
    });
    const texts = [made.text];
    for (const url of ['/v1/connections', `/v1/connections/${made.body.id}`])
      texts.push((await acme('GET', url)).text);
    texts.push(
      (await acme('PATCH', `/v1/connections/${made.body.id}`, { password: 'staple correct horse' })).text,
    );
    texts.push((await acme('POST', '/v1/connections', connection({ password: 17 }))).text);
    texts.push((await acme('POST', '/v1/connections', { ...connection(), nmae: 'x' })).text);
    for (const text of [...texts, ...fixture.apiLines])
      expect(text).not.toMatch(/correct|staple|password":"/);
  });

  test('has limits that hold for the next start, and make no version of it', async () => {
    const { body } = await acme('POST', '/v1/connections', connection({ startsPerMinute: 120 }));
    expect(body).toMatchObject({ maxRuns: 4, startsPerMinute: 120, coolUntil: null });
    fixture.forget();
    const coolUntil = new Date(Date.now() + 60_000).toISOString();
    const url = `/v1/connections/${body.id}`;
    const changed = await acme('PATCH', url, { maxRuns: 9, startsPerMinute: null, coolUntil });
    expect(changed).toMatchObject({
      status: 200,
      headers: { etag: '"1"' },
      body: { maxRuns: 9, startsPerMinute: null, coolUntil: expect.stringContaining(coolUntil.slice(0, 19)) },
    });
    expect(fixture.heard.limits).toMatchObject([{ connectionId: body.id, maxRuns: 9, startGapMs: 0 }]);
    expect((fixture.heard.limits[0] as { coolMs: number }).coolMs).toBeGreaterThan(50_000);
    expect(await acme('PATCH', url, { coolUntil: null })).toMatchObject({
      body: { maxRuns: 9, coolUntil: null },
    });
    for (const change of [{ maxRuns: 0 }, { startsPerMinute: 0 }, { coolUntil: 'soon' }])
      expect(await acme('PATCH', url, change)).toMatchObject({ status: 400 });
  });

  test('has a read rate, which makes no version of it either; what no rate can be is refused where it stands', async () => {
    const { body } = await acme('POST', '/v1/connections', connection({ rowsPerSecond: 5_000 }));
    expect(body).toMatchObject({ rowsPerSecond: 5_000, bytesPerSecond: null });
    const url = `/v1/connections/${body.id}`;
    expect(await acme('PATCH', url, { rowsPerSecond: null, bytesPerSecond: 10_000_000_000 })).toMatchObject({
      status: 200,
      headers: { etag: '"1"' },
      body: { rowsPerSecond: null, bytesPerSecond: 10_000_000_000 },
    });
    for (const [member, value] of [
      ['rowsPerSecond', 0],
      ['rowsPerSecond', 1.5],
      ['bytesPerSecond', 1_023],
      ['bytesPerSecond', '1MiB'],
    ] as const)
      expect(await acme('PATCH', url, { [member]: value })).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST', pointer: `/${member}` },
      });
    expect((await acme('GET', url)).body).toMatchObject({ bytesPerSecond: 10_000_000_000 });
  });

  test('has the worker class that the operator gives it, without a new version; no name is made up for it', async () => {
    const { body } = await fixture.asOperator(
      'POST',
      '/v1/connections',
      connection({ tenantId: 'acme', workerClass: 'eu-private' }),
    );
    expect(body).toMatchObject({ workerClass: 'eu-private', tenantId: acmeId });
    expect((await acme('POST', '/v1/connections', connection())).body).toMatchObject({ workerClass: null });
    const url = `/v1/connections/${body.id}`;
    expect(await acme('PATCH', url, { maxRuns: 2 })).toMatchObject({ body: { workerClass: 'eu-private' } });
    for (const workerClass of ['x'.repeat(32), '7', null])
      expect(await fixture.asOperator('PATCH', url, { workerClass })).toMatchObject({
        status: 200,
        headers: { etag: '"1"' },
        body: { workerClass },
      });
    for (const workerClass of ['', 'EU', '-eu', 'eu_west', 'eu west', 'x'.repeat(33), 7])
      expect(await fixture.asOperator('PATCH', url, { workerClass })).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST', pointer: '/workerClass' },
      });
    expect((await fixture.asOperator('PATCH', url, { workerClass: 'EU' })).text).toContain(
      'such as eu-private',
    );
  });

  test('gets no worker class from a tenant’s key, which might mean another’s network', async () => {
    const { body } = await acme('POST', '/v1/connections', connection());
    for (const refused of [
      await acme('POST', '/v1/connections', connection({ workerClass: 'eu' })),
      await acme('PATCH', `/v1/connections/${body.id}`, { workerClass: 'eu' }),
    ])
      expect(refused).toMatchObject({ status: 403, body: { code: 'FORBIDDEN', pointer: '/workerClass' } });
  });

  test('keeps its worker class where a tenant sends it back, and where it would take it off', async () => {
    const { body } = await fixture.asOperator(
      'POST',
      '/v1/connections',
      connection({ tenantId: 'acme', workerClass: 'eu' }),
    );
    const url = `/v1/connections/${body.id}`;
    const change = (workerClass: string | null) => acme('PATCH', url, { workerClass, maxRuns: 3 });
    expect(await change('eu')).toMatchObject({ status: 200, body: { workerClass: 'eu', maxRuns: 3 } });
    expect(await change(null)).toMatchObject({ status: 403 });
    expect((await acme('GET', url)).body).toMatchObject({ workerClass: 'eu' });
    expect((await acme('POST', '/v1/connections', connection({ workerClass: null }))).status).toBe(201);
  });

  test('is changed with If-Match, and not by a stale one', async () => {
    const { body } = await acme('POST', '/v1/connections', connection());
    expect(
      await acme('PATCH', `/v1/connections/${body.id}`, { database: 'new' }, { 'if-match': '"1"' }),
    ).toMatchObject({ status: 200, headers: { etag: '"2"' }, body: { database: 'new', user: 'reader' } });
    expect(
      await acme('PATCH', `/v1/connections/${body.id}`, { database: 'x' }, { 'if-match': '"1"' }),
    ).toMatchObject({ status: 412 });
    expect(
      await acme('DELETE', `/v1/connections/${body.id}`, undefined, { 'if-match': 'W/"2"' }),
    ).toMatchObject({
      status: 204,
      text: '',
    });
  });

  test.each(['127.0.0.1', '10.0.0.7', '169.254.169.254', '::1', '::ffff:127.0.0.1'])(
    'to %s is refused: it is the operator’s network',
    async (host) => {
      expect(await acme('POST', '/v1/connections', connection({ host }))).toMatchObject({
        status: 400,
        body: { code: 'HOST_NOT_ALLOWED', pointer: '/host' },
      });
      const { body } = await acme('POST', '/v1/connections', connection());
      expect(await acme('PATCH', `/v1/connections/${body.id}`, { host, password: 'x' })).toMatchObject({
        status: 400,
      });
    },
  );

  test('whose host does not resolve from here is made, at the port that is usual: it may resolve from the workers', async () => {
    expect(await acme('POST', '/v1/connections', connection({ host: 'inside.corp' }))).toMatchObject({
      status: 201,
      body: { host: 'inside.corp', port: 5432 },
    });
  });

  test('is tested by logging in; what the database refuses is a problem with its cure', async () => {
    const { body } = await acme('POST', '/v1/connections', connection());
    expect(await acme('POST', `/v1/connections/${body.id}/test`, {})).toMatchObject({
      status: 200,
      body: { ok: true, version: 'PostgreSQL 16.1', elapsedMs: 3 },
    });
    fixture.failures.push(new PenstockError('SOURCE_AUTH', 'login reader was refused by db.example.com'));
    expect(await acme('POST', `/v1/connections/${body.id}/test`)).toMatchObject({
      status: 422,
      body: { code: 'SOURCE_AUTH', cure: 'Correct user or password of the connection.' },
    });
    expect(fixture.asked).toEqual([`test ${body.id}`, `test ${body.id}`]);
  });
});

describe('the operator', () => {
  test('finds a tenant’s connection by its name, and is asked for the tenant when there are several', async () => {
    const shop = await fixture.as((await fixture.addTenant('shop')).tenantId, 'admin');
    const mine = await acme('POST', '/v1/connections', connection({ name: 'orders' }));
    const byName = '/v1/connections/orders';
    expect(await fixture.asOperator('GET', byName)).toMatchObject({ body: { id: mine.body.id } });
    const theirs = await shop('POST', '/v1/connections', connection({ name: 'orders' }));
    expect(await fixture.asOperator('GET', byName)).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', pointer: '/query/tenantId' },
    });
    expect(await fixture.asOperator('GET', `${byName}?tenantId=shop`)).toMatchObject({
      body: { id: theirs.body.id },
    });
    const own = await fixture.asOperator('POST', '/v1/connections', connection({ name: 'orders' }));
    expect(await fixture.asOperator('GET', byName)).toMatchObject({ body: { id: own.body.id } });
    expect(await shop('GET', byName)).toMatchObject({ body: { id: theirs.body.id } });
  });
});

describe('an operator’s connection', () => {
  test('is granted to a tenant by name, and taken back', async () => {
    const { body } = await fixture.asOperator('POST', '/v1/connections', connection({ name: 'app-db' }));
    expect(body.tenantId).toBeNull();
    expect((await acme('GET', '/v1/connections/app-db')).status).toBe(404);
    const grant = { tablePattern: 'sync.acme_*', scope: { tenant: 'acme' }, databaseRole: 'acme_writer' };
    expect(await fixture.asOperator('PUT', '/v1/connections/app-db/grants/acme', grant)).toMatchObject({
      status: 200,
      body: { tenantId: acmeId, ...grant },
    });
    expect(await acme('GET', '/v1/connections/app-db')).toMatchObject({ status: 200, body: { id: body.id } });
    expect(await acme('PATCH', '/v1/connections/app-db', { name: 'mine' })).toMatchObject({ status: 403 });
    expect(await acme('PUT', '/v1/connections/app-db/grants/acme', { tablePattern: '*.*' })).toMatchObject({
      status: 403,
    });
    expect((await fixture.asOperator('DELETE', '/v1/connections/app-db/grants/acme')).status).toBe(204);
    expect((await acme('GET', '/v1/connections/app-db')).status).toBe(404);
  });
});
