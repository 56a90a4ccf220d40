import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
beforeAll(async () => {
  fixture = await createApiFixture();
});
afterAll(() => fixture.drop());
beforeEach(() => {
  fixture.checks.length = 0;
});

describe('health', () => {
  test('is ready when all that it stands on answers, and says what does not', async () => {
    fixture.checks.push({ name: 'postgres', check: async () => 'PostgreSQL 15.18' });
    expect(await fixture.anonymous('GET', '/readyz')).toMatchObject({
      status: 200,
      body: { status: 'ok', checks: { postgres: { ok: true, detail: 'PostgreSQL 15.18' } } },
    });
    fixture.checks.push({
      name: 'redis',
      check: async () => {
        throw new Error('does not answer');
      },
    });
    expect(await fixture.anonymous('GET', '/readyz')).toMatchObject({
      status: 503,
      body: {
        status: 'unavailable',
        checks: { postgres: { ok: true }, redis: { ok: false, detail: 'does not answer' } },
      },
    });
    expect((await fixture.anonymous('GET', '/livez')).body).toEqual({ status: 'ok' });
  });

  test('however many probes come at once, each dependency is asked once', async () => {
    let asked = 0;
    let answer = (): void => {};
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    fixture.checks.push({
      name: 'temporal',
      check: async () => {
        asked += 1;
        await answered;
        return 'ok';
      },
    });
    const probes = Array.from({ length: 5 }, () => fixture.anonymous('GET', '/readyz'));
    const live = await fixture.anonymous('GET', '/livez');
    answer();
    expect((await Promise.all(probes)).map(({ status }) => status)).toEqual(Array(5).fill(200));
    expect([live.status, asked]).toEqual([200, 1]);
  });

  test('metrics count requests by route pattern, never by id', async () => {
    const call = await fixture.as((await fixture.addTenant('acme')).tenantId, 'viewer');
    await call('GET', '/v1/syncs/syn_secret-id');
    const { text } = await fixture.anonymous('GET', '/metrics');
    expect(text).toContain(
      'penstock_http_request_seconds_count{method="GET",route="/v1/syncs/:ref",status="404"} 1',
    );
    expect(text).not.toContain('syn_secret-id');
  });
});
