import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import type { Caller, Scope } from '../../../src/ports/scope.ts';
import { createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let acme: Scope & { tenantId: TenantId };
let globex: Scope & { tenantId: TenantId };
beforeAll(async () => {
  fixture = await createControlFixture();
  acme = await fixture.addTenant('acme');
  globex = await fixture.addTenant('globex');
});
afterAll(() => fixture.drop());

describe('an API key', () => {
  const wanted = { name: 'ci', role: 'editor' as const, expiresAt: null };

  test('is shown once, stored as a hash, and says who calls', async () => {
    const { key, ...made } = await fixture.store.apiKeys.create(acme, wanted);
    expect(key).toMatch(/^pk_[A-Za-z0-9_-]{43}$/);
    expect(key.startsWith(made.prefix)).toBe(true);
    expect(await fixture.store.apiKeys.authenticate(key)).toEqual({
      apiKeyId: made.id,
      role: 'editor',
      tenantId: acme.tenantId,
    });
    const { rows } = await fixture.pool.query('select k::text from penstock.api_key k');
    expect(JSON.stringify(rows)).not.toContain(key.slice(made.prefix.length));
    expect((await fixture.store.apiKeys.list(acme, { limit: 5 })).items).toEqual([made]);
  });

  test('of the operator belongs to no tenant', async () => {
    const { key } = await fixture.store.apiKeys.create(fixture.operator, { ...wanted, role: 'admin' });
    expect(await fixture.store.apiKeys.authenticate(key)).toMatchObject({ tenantId: null, role: 'admin' });
  });

  test('that is revoked, expired, unknown or no key at all opens nothing', async () => {
    const { apiKeys } = fixture.store;
    const revoked = await apiKeys.create(acme, wanted);
    const first = await apiKeys.revoke(acme, revoked.id);
    expect(await apiKeys.revoke(acme, revoked.id)).toEqual(first);
    const expired = await apiKeys.create(acme, { ...wanted, expiresAt: '2020-01-01T00:00:00Z' });
    for (const key of [revoked.key, expired.key, `pk_${'A'.repeat(43)}`, '', 'pk_', "pk_' or true --"])
      expect(await apiKeys.authenticate(key)).toBeNull();
  });

  test('of another tenant cannot be seen or revoked', async () => {
    const theirs = await fixture.store.apiKeys.create(globex, wanted);
    await expect(fixture.store.apiKeys.revoke(acme, theirs.id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await fixture.store.apiKeys.authenticate(theirs.key)).not.toBeNull();
  });
});

describe('an idempotency key', () => {
  const hash = Buffer.alloc(32, 1);
  const answer = { status: 202, headers: { location: '/v1/runs/x' }, body: { id: 'x' } };
  const caller = (): Caller => ({ apiKeyId: newId('apiKey'), role: 'editor', tenantId: acme.tenantId });

  test('gives the first answer again', async () => {
    const who = caller();
    expect(await fixture.store.idempotency.begin(who, 'k', hash)).toEqual({ state: 'begun' });
    await fixture.store.idempotency.complete(who, 'k', answer);
    expect(await fixture.store.idempotency.begin(who, 'k', hash)).toEqual({ state: 'answered', answer });
  });

  test('used for another request is refused', async () => {
    const who = caller();
    await fixture.store.idempotency.begin(who, 'k', hash);
    await expect(fixture.store.idempotency.begin(who, 'k', Buffer.alloc(32, 2))).rejects.toMatchObject({
      code: 'IDEMPOTENCY_MISMATCH',
    });
  });

  test('lets one of several requests at once through', async () => {
    const who = caller();
    const begun = await Promise.allSettled(
      Array.from({ length: 5 }, () => fixture.store.idempotency.begin(who, 'k', hash)),
    );
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(begun.filter((b) => b.status === 'rejected').map((b) => b.reason.code)).toEqual(
      Array(4).fill('CONFLICT'),
    );
  });

  test('is free again when its request failed, or died a minute ago, or a day after its answer', async () => {
    const who = caller();
    await fixture.store.idempotency.begin(who, 'k', hash);
    await fixture.store.idempotency.abandon(who, 'k');
    expect(await fixture.store.idempotency.begin(who, 'k', hash)).toEqual({ state: 'begun' });
    const age = (by: string) =>
      fixture.pool.query('update penstock.idempotency_key set created_at = created_at - $1::interval', [by]);
    await age('61 s');
    expect(await fixture.store.idempotency.begin(who, 'k', hash)).toEqual({ state: 'begun' });
    await fixture.store.idempotency.complete(who, 'k', answer);
    await age('23 h');
    expect(await fixture.store.idempotency.begin(who, 'k', hash)).toMatchObject({ state: 'answered' });
    await age('2 h');
    expect(await fixture.store.idempotency.begin(who, 'k', Buffer.alloc(32, 3))).toEqual({ state: 'begun' });
  });

  test('of one API key says nothing about another’s', async () => {
    expect(await fixture.store.idempotency.begin(caller(), 'k', hash)).toEqual({ state: 'begun' });
    expect(await fixture.store.idempotency.begin(caller(), 'k', hash)).toEqual({ state: 'begun' });
  });
});
