/** The rejects of a sync over HTTP: in pages, for operators, audited; and tried again by a run. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createApiFixture, type ApiFixture, type Call } from '../../support/api-fixture.ts';

let fixture: ApiFixture;
let acme: Call;
let tenantId: string;
let syncId: string;
const spec = {
  name: 'subscribers',
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: 'sync.subscribers' },
  mode: 'upsert',
  key: ['id'],
};
beforeAll(async () => {
  fixture = await createApiFixture();
  ({ tenantId } = await fixture.addTenant('acme'));
  acme = await fixture.as(tenantId as never, 'admin');
  syncId = (await acme('POST', '/v1/syncs', spec)).body.id;
});
afterAll(() => fixture.drop());
beforeEach(() => fixture.forget());

test('are listed in pages, whose cursors lead on, and each look at them is in the audit', async () => {
  const first = await acme('GET', '/v1/syncs/subscribers/rejects');
  expect(first).toMatchObject({
    status: 200,
    body: { items: [{ key: ['41'], sqlstate: '23514', constraint: 'no_bad_names', values: ['41', null] }] },
  });
  const second = await acme('GET', `/v1/syncs/${syncId}/rejects?settled=true&cursor=${first.body.next}`);
  expect(second).toMatchObject({ status: 200, body: { next: null } });
  const { rows } = await fixture.pool.query(
    `select action, object_id from penstock.audit where action = 'sync.rejects_read'`,
  );
  const look = { action: 'sync.rejects_read', object_id: syncId };
  expect(rows).toEqual([look, look]);
});

test('are not for viewers, nor for another tenant', async () => {
  const viewer = await fixture.as(tenantId as never, 'viewer');
  expect(await viewer('GET', `/v1/syncs/${syncId}/rejects`)).toMatchObject({ status: 403 });
  const other = await fixture.as((await fixture.addTenant('other')).tenantId, 'admin');
  expect(await other('GET', `/v1/syncs/${syncId}/rejects`)).toMatchObject({ status: 404 });
});

test('a cursor that no page gave is refused', async () => {
  const cursor = Buffer.from('x').toString('base64url');
  expect(await acme('GET', `/v1/syncs/${syncId}/rejects?cursor=${cursor}`)).toMatchObject({
    status: 400,
    body: { code: 'BAD_REQUEST', pointer: '/query/cursor' },
  });
});

test('are tried again by a run; not where every run appends everything', async () => {
  const answer = await acme('POST', `/v1/syncs/${syncId}/rejects/retry`, {});
  expect(answer).toMatchObject({ status: 202, body: { status: 'queued' } });
  expect(answer.headers['location']).toBe(`/v1/runs/${answer.body.id}`);
  await acme('POST', '/v1/syncs', {
    ...spec,
    name: 'log',
    mode: 'append',
    destination: { connection: 'warehouse', table: 'sync.log' },
  });
  expect(await acme('POST', '/v1/syncs/log/rejects/retry', {})).toMatchObject({ status: 400 });
});
