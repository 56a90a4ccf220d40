/** The endpoint by which the Temporal Web UI and CLI read encrypted payloads. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
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
      'access-control-allow-headers': 'authorization,content-type,x-namespace',
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
