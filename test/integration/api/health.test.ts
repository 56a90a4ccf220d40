import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { PenstockError } from '../../../src/domain/errors.ts';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
beforeAll(async () => {
  fixture = await createApiFixture();
});
afterAll(() => fixture.drop());
beforeEach(() => {
  fixture.checks.length = 0;
});

describe('metrics', () => {
  const samples = async (): Promise<string[]> =>
    (await fixture.anonymous('GET', '/metrics')).text
      .split('\n')
      .filter((line) => /^penstock_(runs|maintenance|invariants|task)/.test(line));

  test('tell runs, the last maintenance and the fleet, which is asked once for all who ask together', async () => {
    await fixture.pool.query(
      `insert into penstock.maintenance (job, ended_at, tally)
       values ('audit', to_timestamp(1000), '{"place_has_run": 2}'), ('retention', to_timestamp(2000), '{"runs": 7}')`,
    );
    const [found] = await Promise.all([samples(), samples(), samples()]);
    expect(found).toEqual([
      'penstock_runs_ready 0',
      'penstock_maintenance_end_timestamp_seconds{job="audit"} 1000',
      'penstock_maintenance_end_timestamp_seconds{job="retention"} 2000',
      'penstock_maintenance_counted{job="retention",what="runs"} 7',
      'penstock_invariants_broken{invariant="receipt_adds_up"} 0',
      'penstock_invariants_broken{invariant="run_has_workflow"} 0',
      'penstock_invariants_broken{invariant="lease_has_load"} 0',
      'penstock_invariants_broken{invariant="place_has_run"} 2',
      'penstock_task_queue_backlog{queue="penstock-copy",work="copies"} 3',
      'penstock_task_queue_backlog_age_seconds{queue="penstock-copy",work="copies"} 1.5',
      'penstock_task_queue_pollers{queue="penstock-copy",work="copies"} 1',
    ]);
    expect(fixture.asked.filter((question) => question === 'fleet')).toHaveLength(1);
  });
});

describe('workers', () => {
  test('are shown to an operator’s key, with what waits for them', async () => {
    const { status, body } = await fixture.asOperator('GET', '/v1/workers');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      workers: [{ identity: '7@a', buildId: '0.1.0', polls: ['copies'] }],
      queues: [{ name: 'penstock-copy', backlog: 3 }],
    });
    const { tenantId } = await fixture.addTenant('globex');
    const tenant = await fixture.as(tenantId, 'admin');
    expect(await tenant('GET', '/v1/workers')).toMatchObject({ status: 403, body: { code: 'FORBIDDEN' } });
  });

  test('are not known while Temporal is away', async () => {
    fixture.failures.push(new PenstockError('ENGINE_UNREACHABLE', 'Temporal does not say who polls.'));
    expect(await fixture.asOperator('GET', '/v1/workers')).toMatchObject({ status: 503 });
  });
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
