import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { cureOf } from '../../../src/domain/errors.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acme: Call;
let syncId: string;
beforeAll(async () => {
  fixture = await createApiFixture();
  acme = await fixture.as((await fixture.addTenant('acme')).tenantId, 'admin');
  const { body } = await acme('POST', '/v1/syncs', {
    name: 'subscribers',
    source: { connection: 'warehouse', query: 'select id from users' },
    destination: { connection: 'warehouse', table: 'sync.subscribers' },
    mode: 'append',
    key: ['id'],
  });
  syncId = body.id;
});
afterAll(() => fixture.drop());
beforeEach(() => fixture.forget());

const trigger = (body?: object, headers?: Record<string, string>) =>
  acme('POST', `/v1/syncs/${syncId}/trigger`, body, headers);

const finish = (id: string) =>
  fixture.pool.query(
    `update penstock.run set status = 'failed', ended_at = now(), error_code = 'SOURCE_SQL', error_message = 'no such column'
     where id = $1`,
    [id],
  );

test('a waiting run gets another priority, from whoever may trigger it; a final one does not', async () => {
  const { body } = await trigger();
  const url = `/v1/runs/${body.id}`;
  expect(await acme('PATCH', url, { priority: 2 })).toMatchObject({ status: 200, body: { priority: 2 } });
  for (const change of [{}, { priority: 0 }, { priority: 6 }, { priority: 1, status: 'running' }])
    expect(await acme('PATCH', url, change)).toMatchObject({ status: 400 });
  await finish(body.id);
  expect(await acme('PATCH', url, { priority: 1 })).toMatchObject({
    status: 409,
    body: { code: 'RUN_STATE' },
  });
});

describe('a trigger', () => {
  test('is accepted with the id of the run and where to look', async () => {
    const answer = await acme('POST', '/v1/syncs/subscribers/trigger', { priority: 1 });
    expect(answer).toMatchObject({
      status: 202,
      headers: { location: `/v1/runs/${answer.body.id}` },
      body: { status: 'queued' },
    });
    expect(Object.keys(answer.body)).toEqual(['id', 'status']);
    const { body: run } = await acme('GET', answer.headers['location'] as string);
    expect(run).toMatchObject({
      id: answer.body.id,
      origin: 'manual',
      priority: 1,
      links: {
        self: `https://penstock.test/v1/runs/${run.id}`,
        temporal: `https://temporal.test/namespaces/default/workflows/acme%3Asubscribers%3A${run.id}`,
      },
    });
    expect(fixture.heard.offered.map(({ runId }) => runId)).toEqual([run.id]);
  });

  test('with an Idempotency-Key makes one run, answers the same again, and refuses another body', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await trigger({}, headers);
    const again = await trigger({}, headers);
    expect(again).toMatchObject({
      status: 202,
      body: first.body,
      headers: { 'idempotency-replayed': 'true' },
    });
    expect(again.headers['location']).toBe(first.headers['location']);
    expect(await trigger({ priority: 1 }, headers)).toMatchObject({
      status: 422,
      body: { code: 'IDEMPOTENCY_MISMATCH', pointer: '/headers/idempotency-key' },
    });
    // the answer may be lost with the process that gave it: the run is still the same
    await fixture.pool.query('delete from penstock.idempotency_key');
    expect((await trigger({}, headers)).body.id).toBe(first.body.id);
  });

  test('with a request key gives the same run to whoever sends it', async () => {
    const first = await trigger({ requestKey: 'order-17' });
    const operator = await fixture.asOperator('POST', `/v1/syncs/${syncId}/trigger`, {
      requestKey: 'order-17',
    });
    expect(operator.body.id).toBe(first.body.id);
    expect((await trigger({ in: '1h', requestKey: 'order-18' })).body.id).not.toBe(first.body.id);
  });

  test('while one waits is that one; for later it is another; both at once are refused', async () => {
    const first = await trigger();
    expect((await trigger()).body.id).toBe(first.body.id);
    const later = await trigger({ at: '2999-01-01T00:00:00Z' });
    expect((await acme('GET', `/v1/runs/${later.body.id}`)).body).toMatchObject({
      waitingReason: 'not_due',
      dueAt: '2999-01-01T00:00:00.000Z',
    });
    expect(await trigger({ at: '2999-01-01T00:00:00Z', in: '1h' })).toMatchObject({
      status: 400,
      body: { pointer: '/in' },
    });
    expect(await trigger({ onRunning: 'reject' })).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT', meta: { runId: expect.stringMatching(/^run_/) } },
    });
  });
});

describe('waiting for a run', () => {
  test('gives the final run as soon as it is final', async () => {
    const { body } = await trigger();
    const waiting = acme('GET', `/v1/runs/${body.id}`, undefined, { prefer: 'wait=60' });
    await finish(body.id);
    expect(await waiting).toMatchObject({
      status: 200,
      headers: { 'preference-applied': 'wait=60' },
      body: {
        status: 'failed',
        error: { code: 'SOURCE_SQL', message: 'no such column', cure: cureOf('SOURCE_SQL') },
      },
    });
    const again = await trigger({ requestKey: 'waited' }, { prefer: 'respond-async, wait=1' });
    expect(again).toMatchObject({ status: 202, body: { status: 'queued' } });
    await finish(again.body.id);
    expect(await trigger({ requestKey: 'waited' }, { prefer: 'wait=60' })).toMatchObject({
      status: 200,
      body: { id: again.body.id, status: 'failed' },
    });
  });

  test('ends when the server closes', async () => {
    const other = await createApiFixture();
    const tenant = await other.addTenant('acme');
    const call = await other.as(tenant.tenantId, 'admin');
    const { body: sync } = await call('POST', '/v1/syncs', {
      name: 's',
      source: { connection: 'warehouse', query: 'select 1' },
      destination: { connection: 'warehouse', table: 't' },
      mode: 'append',
    });
    const { body: run } = await call('POST', `/v1/syncs/${sync.id}/trigger`);
    let isWaiting = (): void => {};
    const begun = new Promise<void>((resolve) => {
      isWaiting = resolve;
    });
    const runs = { ...other.store.runs };
    other.store.runs.fetch = (scope, id) => {
      isWaiting();
      return runs.fetch(scope, id);
    };
    const waiting = call('GET', `/v1/runs/${run.id}`, undefined, { prefer: 'wait=60' });
    await begun;
    await other.drop();
    expect(await waiting).toMatchObject({ status: 200, body: { status: 'queued' } });
  });
});

describe('runs', () => {
  test('are listed page by page, each once, with a Link to the next page', async () => {
    for (let n = 0; n < 5; n += 1) await trigger();
    const all = (await acme('GET', '/v1/runs?limit=200')).body.items.map((run: { id: string }) => run.id);
    const seen: string[] = [];
    for (let url: string | undefined = `/v1/runs?limit=3&syncId=subscribers`; url !== undefined;) {
      const { body, headers } = await acme('GET', url);
      seen.push(...body.items.map((run: { id: string }) => run.id));
      url = /^<(.*)>; rel="next"$/.exec(String(headers['link'] ?? ''))?.[1];
      expect(url === undefined).toBe(body.next === null);
    }
    expect(seen).toEqual(all);
    expect(new Set(seen).size).toBe(seen.length);
  });

  test('are filtered by status, in both ways of writing a list', async () => {
    const { body } = await trigger();
    await fixture.pool.query(`update penstock.run set status = 'paused' where id = $1`, [body.id]);
    for (const query of [
      'status=paused,pausing',
      'status=paused&status=pausing',
      'status=paused&origin=manual',
    ])
      expect((await acme('GET', `/v1/runs?${query}`)).body.items).toMatchObject([{ id: body.id }]);
    expect((await acme('POST', `/v1/runs/${body.id}/cancel`)).status).toBe(202);
  });

  test('are cancelled, paused and resumed, and tell what happened', async () => {
    const { body } = await trigger();
    expect(await acme('POST', `/v1/runs/${body.id}/pause`)).toMatchObject({
      status: 409,
      body: { code: 'RUN_STATE', meta: { status: 'queued' } },
    });
    await fixture.pool.query(
      `update penstock.run set status = 'cancelled', ended_at = now() where status <> 'queued' and ended_at is null`,
    );
    await fixture.pool.query(`update penstock.run set status = 'running' where id = $1`, [body.id]);
    expect(await acme('POST', `/v1/runs/${body.id}/pause`)).toMatchObject({
      status: 202,
      body: { status: 'pausing' },
    });
    expect(await acme('POST', `/v1/runs/${body.id}/resume`)).toMatchObject({ body: { status: 'running' } });
    expect(await acme('POST', `/v1/runs/${body.id}/cancel`)).toMatchObject({
      body: { status: 'cancelling' },
    });
    expect(fixture.told.map((line) => line.split(' ')[0])).toEqual(['pause', 'resume', 'cancel']);
    const { body: events } = await acme('GET', `/v1/runs/${body.id}/events`);
    expect(events.items.map(({ kind }: { kind: string }) => kind)).toEqual([
      'run.queued',
      'run.pausing',
      'run.running',
      'run.cancelling',
    ]);
  });
});
