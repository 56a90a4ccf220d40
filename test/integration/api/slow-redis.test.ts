/**
 * P7: writes by the API while Redis hears nothing, answers nothing, or takes its time: the rows are the truth, so each is answered,
 * and what the index did not hear the dispatcher finds in the rows.
 */
import type { Client } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ScheduleAnnouncer } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createDependencyChecks } from '../../../src/workers/dependency-checks.ts';
import { connectClient } from '../../../src/workers/temporal/connect-client.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';
import { createSchedulerRoom, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { createNamespace } from '../../support/stack.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let fixture: ApiFixture;
let room: SchedulerRoom;
let proxy: TcpProxy;
let proxied: string;
/** The API's, by the proxy; dispatchers reach Redis without it. */
let index: RedisIndex;
let temporal: Client;
const announcer: ScheduleAnnouncer = {
  publishDue: (entries) => index.publishDue(entries),
  offerRuns: (runs) => index.offerRuns(runs),
  releaseRuns: (runIds) => index.releaseRuns(runIds),
  saveLimits: (limits) => index.saveLimits(limits),
};

beforeAll(async () => {
  temporal = connectClient(await createNamespace());
  fixture = await createApiFixture(announcer);
  room = await createSchedulerRoom(undefined, fixture);
  const { hostname, port, pathname } = new URL(room.redisUrl);
  proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  proxied = `redis://127.0.0.1:${proxy.port}${pathname}`;
  fixture.checks.push(
    ...createDependencyChecks({ pool: fixture.pool, checkIndex: () => index.check(), temporal }),
  );
});
afterAll(async () => {
  await room.close();
  await fixture.drop();
  await proxy.close();
  await temporal.connection.close();
});

let acme: Call;
beforeEach(async () => {
  index = await room.openIndex({}, proxied);
  const { tenantId } = await fixture.addTenant('acme');
  acme = await fixture.as(tenantId, 'admin');
});
afterEach(async () => {
  proxy.mend();
  proxy.thaw();
  index.close();
  await room.clear();
});

const spec = (name: string, schedule: object) => ({
  name,
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: `sync.${name}` },
  mode: 'append',
  key: ['id'],
  schedule,
});

const inHours = (hours: number): string => new Date(Date.now() + hours * 3_600_000).toISOString();

/** What users do, each answered while Redis is as it is. */
async function doWork(): Promise<{ edited: string; paused: string; runId: string }> {
  const create = async (name: string, schedule: object): Promise<string> => {
    const { status, body } = await acme('POST', '/v1/syncs', spec(name, schedule));
    expect([name, status]).toEqual([name, 201]);
    return body.id;
  };
  const edited = await create('edited', { at: inHours(6) });
  const paused = await create('paused', { at: inHours(6) });
  const manual = await create('manual', { manual: true });
  const edit = spec('edited', { at: inHours(12) });
  expect(await acme('PUT', `/v1/syncs/${edited}`, edit)).toMatchObject({ status: 200 });
  expect(await acme('POST', `/v1/syncs/${paused}/pause`, {})).toMatchObject({ status: 200 });
  const headers = { 'idempotency-key': 'once' };
  const first = await acme('POST', `/v1/syncs/${manual}/trigger`, {}, headers);
  // As a client does who has not waited for the answer.
  const again = await acme('POST', `/v1/syncs/${manual}/trigger`, {}, headers);
  expect([first.status, again.status, again.body.id]).toEqual([202, 202, first.body.id]);
  return { edited, paused, runId: first.body.id };
}

const ready = () => fixture.anonymous('GET', '/readyz');

/** The index looks at each sync when its row says, or sooner, as it may; and what was triggered was started once. */
async function expectDone({ edited, paused, runId }: Awaited<ReturnType<typeof doWork>>): Promise<void> {
  await waitUntil('the run is started', () => room.starter.started.length > 0);
  const { rows } = await fixture.pool.query<{ id: string; dueMs: number }>(
    `select id, (extract(epoch from next_due_at) * 1000)::float8 as "dueMs" from penstock.sync where next_due_at is not null`,
  );
  expect(new Set(rows.map(({ id }) => id))).toEqual(new Set([edited, paused]));
  await waitUntil('the index looks at each in time', async () => {
    const scores = await Promise.all(rows.map(({ id }) => room.redis.zscore(room.key('due'), id)));
    return rows.every(({ dueMs }, n) => scores[n] !== null && Number(scores[n]) <= dueMs);
  });
  expect(room.starter.started.map((run) => run.runId)).toEqual([runId]);
}

describe.each([
  ['hears nothing', (): void => proxy.freeze()],
  ['hears all and answers nothing', (): void => proxy.swallow('toClient')],
])('while Redis %s', (_, strike) => {
  test('writes are answered, the dispatcher finds them, and readiness names Redis', async () => {
    await room.startDispatcher();
    strike();
    const done = await doWork();
    await waitUntil('Redis is all that is not ready', async () => {
      const { status, body } = await ready();
      const { postgres, redis, temporal: engine } = body.checks;
      return status === 503 && postgres.ok && engine.ok && redis.detail.startsWith('Redis did not answer');
    });
    expect(await fixture.anonymous('GET', '/livez')).toMatchObject({ status: 200 });
    await expectDone(done);
    proxy.mend();
    proxy.thaw();
    await waitUntil('readiness comes back', async () => (await ready()).status === 200);
    await expectDone(done);
  });
});

test('while Redis takes its time, the index hears of each write at once', async () => {
  proxy.delay('toClient', 100);
  const done = await doWork();
  await waitUntil('it is ready', async () => (await ready()).status === 200);
  proxy.mend();
  await waitUntil('both are in the index', async () => (await room.redis.zcard(room.key('due'))) === 2);
  await room.startDispatcher();
  await expectDone(done);
});
