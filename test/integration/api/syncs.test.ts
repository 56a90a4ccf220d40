import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';
import { plantRun } from '../../support/plant-run.ts';

let fixture: ApiFixture;
let acmeId: TenantId;
let acme: Call;
let globex: Call;
beforeAll(async () => {
  fixture = await createApiFixture();
  acmeId = (await fixture.addTenant('acme')).tenantId;
  acme = await fixture.as(acmeId, 'admin');
  globex = await fixture.as((await fixture.addTenant('globex')).tenantId, 'admin');
});
afterAll(() => fixture.drop());
beforeEach(() => {
  fixture.forget();
  fixture.asked.length = 0;
});

let count = 0;
const spec = (over: object = {}) => ({
  name: `sync-${(count += 1)}`,
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: 'sync.subscribers' },
  mode: 'append',
  key: ['id'],
  ...over,
});
const made = async (over: object = {}) => (await acme('POST', '/v1/syncs', spec(over))).body;

describe('a sync', () => {
  test('is made, read by id and by name, listed, and deleted', async () => {
    const wanted = spec({ schedule: { cron: '*/15 * * * *', timezone: 'Asia/Kolkata' } });
    const answer = await acme('POST', '/v1/syncs', wanted);
    expect(answer).toMatchObject({
      status: 201,
      headers: { etag: '"1"', location: `/v1/syncs/${answer.body.id}` },
      body: { ...wanted, source: { query: wanted.source.query }, destination: { table: 'sync.subscribers' } },
    });
    expect(answer.body).toMatchObject({
      tenantId: acmeId,
      version: 1,
      priority: 3,
      limits: { batchRows: 50_000 },
    });
    for (const ref of [answer.body.id, wanted.name]) {
      const read = await acme('GET', `/v1/syncs/${ref}`);
      expect([read.status, read.headers['etag'], read.body]).toEqual([200, '"1"', answer.body]);
    }
    const { body } = await acme('GET', `/v1/syncs?name=${wanted.name}`);
    expect(body).toEqual({ items: [answer.body], next: null });
    expect((await acme('DELETE', `/v1/syncs/${answer.body.id}`)).status).toBe(204);
    expect((await acme('GET', `/v1/syncs/${answer.body.id}`)).status).toBe(404);
  });

  test('that an operator makes names its tenant, by id or name', async () => {
    expect(await fixture.asOperator('POST', '/v1/syncs', spec())).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', pointer: '/tenantId' },
    });
    for (const tenantId of [acmeId, 'acme'])
      expect(await fixture.asOperator('POST', '/v1/syncs', { tenantId, ...spec() })).toMatchObject({
        status: 201,
        body: { tenantId: acmeId },
      });
    expect(await fixture.asOperator('POST', '/v1/syncs', { tenantId: 'nobody', ...spec() })).toMatchObject({
      status: 404,
      body: { pointer: '/tenantId' },
    });
    expect(await globex('POST', '/v1/syncs', { tenantId: acmeId, ...spec() })).toMatchObject({ status: 404 });
  });

  test('that was refused may be sent again with its Idempotency-Key, once what was wrong is mended', async () => {
    const wanted = spec({ source: { connection: 'later', query: 'select id from users' } });
    const headers = { 'idempotency-key': 'mend' };
    expect((await acme('POST', '/v1/syncs', wanted, headers)).status).toBe(400);
    const { body: warehouse } = await acme('GET', '/v1/connections/warehouse');
    const {
      id: _id,
      tenantId: _tenant,
      version: _v,
      createdAt: _c,
      updatedAt: _u,
      coolUntil: _l,
      ...settings
    } = warehouse;
    await acme('POST', '/v1/connections', { ...settings, name: 'later', password: 'hush' });
    const made = await acme('POST', '/v1/syncs', wanted, headers);
    expect(made.status).toBe(201);
    expect(await acme('POST', '/v1/syncs', wanted, headers)).toMatchObject({
      status: 201,
      body: made.body,
      headers: { etag: '"1"', location: made.headers['location'], 'idempotency-replayed': 'true' },
    });
  });

  test('takes its own answer back as its next spec', async () => {
    const sync = await made({ schedule: { every: '1h' } });
    const answer = await acme('PUT', `/v1/syncs/${sync.id}`, { ...sync, priority: 1 }, { 'if-match': '"1"' });
    expect(answer).toMatchObject({
      status: 200,
      headers: { etag: '"2"' },
      body: { version: 2, priority: 1 },
    });
    expect(await acme('PUT', `/v1/syncs/${sync.id}`, sync, { 'if-match': '"1"' })).toMatchObject({
      status: 412,
      body: { code: 'VERSION_CONFLICT', meta: { version: 2 } },
    });
  });

  test('is changed by eight writers at once: each change counts once, and who lost it reads again', async () => {
    const sync = await made({ labels: {} });
    const writers = 8;
    const changes = 4;
    let lost = 0;
    let opened = 0;
    let allOpened = (): void => {};
    const haveAllOpened = new Promise<void>((resolve) => (allOpened = resolve));
    /** Adds its labels to what it has read, as a form in a browser would; nobody saves it before all have opened it. */
    const write = async (writer: number): Promise<void> => {
      for (let n = 0; n < changes;) {
        const read = await acme('GET', `/v1/syncs/${sync.id}`);
        if ((opened += 1) === writers) allOpened();
        await haveAllOpened;
        const answer = await acme(
          'PUT',
          `/v1/syncs/${sync.id}`,
          { ...read.body, labels: { ...read.body.labels, [`w${writer}`]: String(n + 1) } },
          { 'if-match': read.headers['etag'] as string },
        );
        if (answer.status === 200) n += 1;
        else {
          expect(answer).toMatchObject({ status: 412, body: { code: 'VERSION_CONFLICT' } });
          lost += 1;
        }
      }
    };
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
    const { body } = await acme('GET', `/v1/syncs/${sync.id}`);
    expect(body.version).toBe(1 + writers * changes);
    expect(body.labels).toEqual(
      Object.fromEntries(Array.from({ length: writers }, (_, writer) => [`w${writer}`, String(changes)])),
    );
    expect(lost).toBeGreaterThanOrEqual(writers - 1);
  });

  test('takes a merge patch: members are replaced, null removes, a schedule is taken whole', async () => {
    const sync = await made({
      schedule: { cron: '0 3 * * *', timezone: 'Europe/Berlin' },
      labels: { team: 'growth', cost: 'x' },
      cursor: { column: 'updated_at' },
    });
    const patch = {
      schedule: { every: '5m' },
      labels: { cost: null },
      cursor: null,
      limits: { batchRows: 10 },
    };
    const { status, body } = await acme('PATCH', `/v1/syncs/${sync.id}`, patch);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      version: 2,
      schedule: { every: '5m' },
      labels: { team: 'growth' },
      limits: { batchRows: 10, batchBytes: '16MiB' },
    });
    expect([Object.keys(body.schedule), Object.keys(body.labels), body.cursor]).toEqual([
      ['every'],
      ['team'],
      undefined,
    ]);
    expect(await acme('PATCH', `/v1/syncs/${sync.id}`, { mode: 'upsert', key: [] })).toMatchObject({
      status: 400,
      body: { pointer: '/key' },
    });
    expect(await acme('PATCH', `/v1/syncs/${sync.id}`, { colour: 'red' })).toMatchObject({
      status: 400,
      body: { pointer: '/colour' },
    });
  });

  test('is paused and resumed', async () => {
    const sync = await made({ schedule: { every: '1h' } });
    const paused = await acme('POST', `/v1/syncs/${sync.id}/pause`, { reason: 'moving house' });
    expect(paused).toMatchObject({ status: 200, body: { pause: { reason: 'moving house', until: null } } });
    expect((await acme('POST', `/v1/syncs/${sync.id}/resume`)).body.pause).toBeNull();
  });

  test('says when it is due next', async () => {
    const sync = await made({ schedule: { cron: '0 0 29 2 *', timezone: 'UTC' } });
    const { body } = await acme('GET', `/v1/syncs/${sync.id}/schedule/next?count=2`);
    expect(body.items.map((time: string) => time.slice(4))).toEqual(Array(2).fill('-02-29T00:00:00.000Z'));
    const manual = await made();
    expect((await acme('GET', `/v1/syncs/${manual.id}/schedule/next`)).body).toEqual({
      items: [],
      after: null,
    });
    expect((await acme('GET', `/v1/syncs/${manual.id}/slots`)).body).toEqual({ items: [], next: null });
  });

  test('has a next due time that can be skipped, moved, and left as it was', async () => {
    const sync = await made({ schedule: { every: '1d', startAt: '2100-01-01T00:00:00Z' } });
    const post = (verb: string, body?: object) => acme('POST', `/v1/syncs/${sync.id}/${verb}`, body);
    const to = new Date(Date.parse(sync.nextDueAt) + 60_000).toISOString();
    const { nextNominalAt } = sync;
    expect((await post('skip-next')).body).toMatchObject({ nextIsSkipped: true, nextNominalAt });
    expect((await post('skip-next', { skip: false })).body).toEqual(sync);
    expect((await post('move-next', { to })).body).toMatchObject({ nextDueAt: to, nextNominalAt });
    expect((await post('move-next', { to: null, nominalAt: nextNominalAt })).body).toEqual(sync);
    expect(await post('skip-next', { nominalAt: to })).toMatchObject({
      status: 409,
      body: { code: 'CONFLICT', pointer: '/nominalAt' },
    });
    expect(await post('move-next', { to: '2020-01-01T00:00:00Z' })).toMatchObject({
      status: 400,
      body: { code: 'BAD_REQUEST', pointer: '/to' },
    });
  });

  test('has a schedule that can be looked at before: the same times, and the same refusals', async () => {
    const schedule = {
      cron: '30 2 * * *',
      timezone: 'Europe/Berlin',
      exclude: { dates: ['2030-03-30'] },
    };
    const preview = (body: object) => acme('POST', '/v1/schedules/preview', body);
    const asked = await preview({ schedule, from: '2030-03-28T22:00:00-05:00', count: 2 });
    expect(asked.body).toEqual({
      items: ['2030-03-31T01:00:00.000Z', '2030-04-01T00:30:00.000Z'],
      after: null,
    });
    const yearly = { ...schedule, cron: '30 2 1 1 *' };
    const { body } = await preview({ schedule: yearly });
    const sync = await made({ schedule: yearly });
    expect(body.items).toHaveLength(5);
    expect((await acme('GET', `/v1/syncs/${sync.id}/schedule/next`)).body).toEqual(body);
    expect(sync.nextDueAt).toBe(body.items[0]);
    const follower = await made({ schedule: { after: { sync: sync.id } } });
    expect((await acme('GET', `/v1/syncs/${follower.id}/schedule/next`)).body).toEqual({
      items: [],
      after: { sync: sync.id, when: 'succeeded' },
    });
    expect(await preview({ schedule: { anyOf: [{ every: '5m' }, { cron: 'H * * * *' }] } })).toMatchObject({
      status: 400,
      body: { code: 'SCHEDULE_INVALID', pointer: '/schedule/anyOf/1/cron' },
    });
    expect((await preview({})).body).toMatchObject({ code: 'BAD_REQUEST', pointer: '/schedule' });
    expect((await preview({ schedule: { every: '5m' }, count: 1_001 })).status).toBe(400);
  });

  test('is planned before it is made, and again with a change, with all that it would be refused for', async () => {
    const spec = {
      name: 'planned',
      source: { connection: 'nowhere', query: 'select 1' },
      destination: { connection: 'nobody', table: 't' },
      mode: 'append',
    };
    expect(await acme('POST', '/v1/syncs/plan', spec)).toMatchObject({
      status: 200,
      body: {
        ok: false,
        refusals: [{ pointer: '/source/connection' }, { pointer: '/destination/connection' }],
      },
    });
    const sync = await made();
    expect(await acme('POST', `/v1/syncs/${sync.name}/plan`)).toMatchObject({
      status: 200,
      body: { ok: true },
    });
    const renamed = await acme('POST', '/v1/syncs/plan', { ...spec, name: sync.name });
    expect(renamed.body.refusals.at(-1)).toMatchObject({ code: 'CONFLICT', pointer: '/name' });
    await acme('POST', `/v1/syncs/${sync.id}/plan`, { mode: 'upsert', key: [] });
    expect(fixture.asked.splice(0)).toEqual([
      'plan planned new false false',
      `plan ${sync.name} again true true`,
      `plan ${sync.name} new false false`,
      `plan ${sync.name} again true true`,
    ]);
    expect(await acme('POST', '/v1/syncs/plan', { ...spec, mode: 'sideways' })).toMatchObject({
      status: 400,
      body: { pointer: '/mode' },
    });
    expect((await acme('GET', '/v1/syncs?name=planned')).body.items).toEqual([]);
  });

  test('is compared with its source; the answer, which holds keys, is not kept for its Idempotency-Key', async () => {
    const sync = await made();
    const ask = () =>
      acme('POST', `/v1/syncs/${sync.name}/verify`, { maxExamples: 5 }, { 'idempotency-key': 'once' });
    expect(await ask()).toMatchObject({
      status: 200,
      body: { equal: false, missing: 1, examples: [{ fault: 'missing', key: '(7)' }] },
    });
    await ask();
    expect(fixture.asked.splice(0)).toEqual([`verify ${sync.id} 5`, `verify ${sync.id} 5`]);
    const { status, body } = await acme('POST', `/v1/syncs/${sync.id}/verify`, { maxSeconds: 1_000 });
    expect([status, body.pointer]).toEqual([400, '/maxSeconds']);
  });

  test('is reset through its destination, and not while a run is at work', async () => {
    const sync = await made();
    expect(await acme('POST', `/v1/syncs/${sync.id}/reset`, { deleteRows: true })).toMatchObject({
      status: 200,
      body: { id: sync.id, how: 'reset' },
    });
    expect(await acme('POST', `/v1/syncs/${sync.id}/reset`, { how: 'accept' })).toMatchObject({
      status: 200,
    });
    expect(await acme('POST', `/v1/syncs/${sync.id}/reset`, { how: 'keep' })).toMatchObject({
      status: 200,
      body: { how: 'keep' },
    });
    expect(await acme('GET', `/v1/syncs/${sync.id}/reset`)).toMatchObject({
      status: 200,
      body: { id: sync.id, unfinished: { committed: { read: 7 } }, tables: [{ rows: 7 }] },
    });
    expect(fixture.asked).toEqual([
      `reset ${sync.id} {"deleteRows":true}`,
      `accept ${sync.id}`,
      `keep ${sync.id}`,
      `describe ${sync.id}`,
    ]);
    for (const how of ['accept', 'keep'])
      expect(await acme('POST', `/v1/syncs/${sync.id}/reset`, { how, deleteRows: true })).toMatchObject({
        status: 400,
        body: { pointer: '/deleteRows' },
      });
    const { body } = await acme('POST', `/v1/syncs/${sync.id}/trigger`);
    await fixture.pool.query(`update penstock.run set status = 'running' where id = $1`, [body.id]);
    expect(await acme('POST', `/v1/syncs/${sync.id}/reset`)).toMatchObject({
      status: 409,
      body: { code: 'RUN_STATE', meta: { runId: body.id } },
    });
    expect(fixture.asked).toHaveLength(4);
  });
});

test('a sync says how often it runs against how often it was asked to, and why not', async () => {
  const sync = await made({ schedule: { every: '1h' } });
  const thisHour = Math.floor(Date.now() / 3_600_000);
  const hoursAgo = (hours: number): string => new Date((thisHour - hours) * 3_600_000).toISOString();
  const dropped = await plantRun(fixture.pool, sync.id, {
    status: 'cancelled',
    end_reason: 'requested',
    ended_at: new Date(),
    origin: 'schedule',
    nominal_at: hoursAgo(1),
    due_at: hoursAgo(1),
  });
  await fixture.pool.query(
    `insert into penstock.slot (sync_id, tenant_id, sync_version, nominal_at, nominal_to, run_id, outcome)
     values ($2, $1, 1, $3, $3, $6, null), ($2, $1, 1, $4, $5, null, 'missed')`,
    [acmeId, sync.id, hoursAgo(1), hoursAgo(4), hoursAgo(2), dropped],
  );
  expect(await acme('GET', `/v1/syncs/${sync.id}/cadence?last=3`)).toMatchObject({
    status: 200,
    body: {
      dueTimes: 3,
      from: hoursAgo(3),
      to: hoursAgo(1),
      outcomes: { skipped_on_request: 1, missed: 2 },
      succeeded: 0,
      askedEveryS: 3_600,
      ranEveryS: null,
    },
  });
  expect((await globex('GET', `/v1/syncs/${sync.id}/cadence`)).status).toBe(404);
});

describe('another tenant', () => {
  test('finds none of it, whatever it asks', async () => {
    const sync = await made();
    const { body: run } = await acme('POST', `/v1/syncs/${sync.id}/trigger`);
    const { body: warehouse } = await acme('GET', '/v1/connections/warehouse');
    const urls = [
      ['GET', `/v1/syncs/${sync.id}`],
      ['PUT', `/v1/syncs/${sync.id}`, spec()],
      ['PATCH', `/v1/syncs/${sync.id}`, {}],
      ['DELETE', `/v1/syncs/${sync.id}`],
      ['POST', `/v1/syncs/${sync.id}/trigger`],
      ['POST', `/v1/syncs/${sync.id}/pause`],
      ['POST', `/v1/syncs/${sync.id}/resume`],
      ['POST', `/v1/syncs/${sync.id}/skip-next`],
      ['POST', `/v1/syncs/${sync.id}/move-next`, { to: null }],
      ['POST', `/v1/syncs/${sync.id}/reset`],
      ['POST', `/v1/syncs/${sync.id}/verify`],
      ['POST', `/v1/syncs/${sync.id}/plan`],
      ['GET', `/v1/syncs/${sync.id}/schedule/next`],
      ['GET', `/v1/syncs/${sync.id}/slots`],
      ['GET', `/v1/syncs/${sync.name}?tenantId=acme`],
      ['GET', `/v1/runs/${run.id}`],
      ['GET', `/v1/runs/${run.id}/events`],
      ['POST', `/v1/runs/${run.id}/cancel`],
      ['POST', `/v1/runs/${run.id}/pause`],
      ['POST', `/v1/runs/${run.id}/resume`],
      ['GET', `/v1/connections/${warehouse.id}`],
      ['PATCH', `/v1/connections/${warehouse.id}`, { name: 'mine' }],
      ['DELETE', `/v1/connections/${warehouse.id}`],
      ['POST', `/v1/connections/${warehouse.id}/test`],
      ['GET', `/v1/tenants/${acmeId}`],
      ['GET', `/v1/syncs?tenantId=${acmeId}`],
    ] as const;
    for (const [method, url, body] of urls)
      expect([method, url, (await globex(method, url, body)).status]).toEqual([method, url, 404]);
    expect(fixture.asked).toEqual([]);
    for (const list of ['syncs', 'runs', `runs?syncId=${sync.id}`, 'connections', 'api-keys', 'tenants'])
      expect((await globex('GET', `/v1/${list}`)).text).not.toContain(acmeId);
  });
});
