/** The endpoint by which the Temporal Web UI and CLI read encrypted payloads. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let operator: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  operator = await fixture.as(null, 'viewer');
});
afterAll(() => fixture.drop());

const ui = { origin: 'https://temporal.test', 'x-namespace': 'default' };
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const plain = {
  metadata: { encoding: base64('json/plain') },
  data: base64('{"runId":"run_1"}'),
};
const decode = '/v1/codec/decode?preserveStorageRefs=true';

describe('the codec endpoint', () => {
  test('decodes what it encoded, in order, and passes through what is not ours', async () => {
    const encoded = await operator('POST', '/v1/codec/encode', { payloads: [plain] }, ui);
    const [sealed] = encoded.body.payloads;
    expect(JSON.stringify(sealed)).not.toContain(plain.data);
    const decoded = await operator('POST', decode, { payloads: [plain, sealed, {}] }, ui);
    expect(decoded).toMatchObject({ status: 200, body: { payloads: [plain, plain, { metadata: {} }] } });
  });

  test('leaves another namespace’s payloads alone', async () => {
    const other = { ...ui, 'x-namespace': 'other' };
    const { body } = await operator('POST', '/v1/codec/encode', { payloads: [plain] }, other);
    expect(body).toEqual({ payloads: [plain] });
  });

  test('says which key is missing, and that a payload was changed', async () => {
    const { body } = await operator('POST', '/v1/codec/encode', { payloads: [plain] });
    const [sealed] = body.payloads;
    const unknown = { ...sealed, metadata: { ...sealed.metadata, 'encryption-key-id': base64('lost') } };
    const changed = { ...sealed, data: base64(`x${Buffer.from(sealed.data, 'base64').toString('latin1')}`) };
    for (const [payload, detail] of [
      [unknown, '"lost"'],
      [changed, 'was changed'],
      [{ ...sealed, data: base64('short') }, 'was changed'],
    ])
      expect(await operator('POST', decode, { payloads: [payload] })).toMatchObject({
        status: 400,
        body: { code: 'BAD_REQUEST', detail: expect.stringContaining(detail) },
      });
  });

  test('keeps no answer for an Idempotency-Key', async () => {
    const body = { payloads: [plain] };
    const keyed = { ...ui, 'idempotency-key': 'k' };
    for (const path of ['/v1/codec/encode', decode])
      expect(await operator('POST', path, body, keyed)).toMatchObject({ status: 200 });
    const kept = await fixture.pool.query('select from penstock.idempotency_key');
    expect(kept.rowCount).toBe(0);
  });

  test('answers to an operator’s key alone', async () => {
    const { tenantId } = await fixture.addTenant('acme');
    const tenant = await fixture.as(tenantId, 'admin');
    const body = { payloads: [plain] };
    expect((await fixture.anonymous('POST', decode, body, ui)).status).toBe(401);
    expect(await tenant('POST', decode, body, ui)).toMatchObject({ status: 403 });
  });

  test('lets the pages of the Web UI call it, also when the key is wrong, and those of no other origin', async () => {
    const asked = { ...ui, 'access-control-request-method': 'POST' };
    const preflight = await fixture.app.inject({ method: 'OPTIONS', url: decode, headers: asked });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': 'https://temporal.test',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': 'authorization,authorization-extras,content-type,x-namespace',
      'access-control-allow-credentials': 'true',
      vary: 'origin',
    });
    const refused = await fixture.anonymous('POST', decode, { payloads: [] }, ui);
    expect(refused.headers['access-control-allow-origin']).toBe('https://temporal.test');
    for (const headers of [{ ...asked, origin: 'https://evil.test' }, { 'x-namespace': 'default' }]) {
      const other = await fixture.app.inject({ method: 'OPTIONS', url: decode, headers });
      expect(other.headers).not.toHaveProperty('access-control-allow-origin');
    }
    const elsewhere = await operator('GET', '/v1/syncs', undefined, ui);
    expect(elsewhere.headers).not.toHaveProperty('access-control-allow-origin');
  });
});

describe('a browser', () => {
  const signInPage = '/v1/codec/sign-in';
  const signIn = (key: string) =>
    fixture.app.inject({
      method: 'POST',
      url: signInPage,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: new URLSearchParams({ key }).toString(),
    });
  const keyOf = async (tenantId: TenantId | null): Promise<string> =>
    (
      await fixture.store.apiKeys.create(
        { tenantId, apiKeyId: null },
        { name: 'browser', role: 'viewer', expiresAt: null },
      )
    ).key;
  const decodeWith = (cookie: string, headers: Record<string, string> = ui) =>
    fixture.anonymous('POST', decode, { payloads: [plain] }, { ...headers, cookie });

  test('that has signed in with an operator’s key needs no header on the pages of the Web UI, until it signs out', async () => {
    const signed = await signIn(await keyOf(null));
    expect(signed).toMatchObject({ statusCode: 303, headers: { location: 'sign-in' } });
    const [pair, ...attributes] = String(signed.headers['set-cookie']).split('; ');
    expect(attributes).toEqual(['Path=/v1/codec', 'Max-Age=43200', 'HttpOnly', 'SameSite=None', 'Secure']);
    expect(await decodeWith(`other=1; ${pair}`)).toMatchObject({ status: 200, body: { payloads: [plain] } });
    const { text } = await fixture.anonymous('GET', signInPage, undefined, { cookie: pair! });
    expect(text).toContain('https://penstock.test/v1/codec</code>');

    const out = await signIn('');
    expect(out.headers['set-cookie']).toMatch(/^penstock_codec=; Path=\/v1\/codec; Max-Age=0;/);
    const { text: asked } = await fixture.anonymous('GET', signInPage);
    expect(asked).toContain('type="password"');
    expect((await decodeWith('penstock_codec=')).status).toBe(401);
  });

  test('that has signed in is of no use to pages of another origin, to other routes, and once its key is revoked', async () => {
    const key = await keyOf(null);
    const cookie = String((await signIn(key)).headers['set-cookie']).split(';')[0]!;
    for (const headers of [{ ...ui, origin: 'https://evil.test' }, { 'x-namespace': 'default' }])
      expect((await decodeWith(cookie, headers)).status).toBe(401);
    expect((await fixture.anonymous('GET', '/v1/syncs', undefined, { ...ui, cookie })).status).toBe(401);
    expect((await decodeWith(cookie, { ...ui, authorization: 'Bearer wrong' })).status).toBe(401);

    expect((await decodeWith(cookie)).status).toBe(200);
    const { apiKeyId } = (await fixture.store.apiKeys.authenticate(key))!;
    await fixture.store.apiKeys.revoke({ tenantId: null, apiKeyId: null }, apiKeyId);
    expect((await decodeWith(cookie)).status).toBe(401);
  });

  test('is not signed in with a key that is unknown or a tenant’s', async () => {
    const { tenantId } = await fixture.addTenant('globex');
    for (const key of ['pk_unknown', await keyOf(tenantId), 'x; Path=/'])
      expect(await signIn(key)).toMatchObject({
        statusCode: 401,
        headers: expect.not.objectContaining({ 'set-cookie': expect.anything() }),
        body: expect.stringContaining('no operator’s API key'),
      });
  });
});
