import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createClient,
  type Client,
  type ClientOptions,
  type SyncSpecInput,
} from '../../../src/client/index.ts';
import type { TenantId } from '../../../src/domain/ids.ts';
import { createApiFixture, type ApiFixture } from '../../support/api-fixture.ts';
import { aReceipt } from '../../support/plant-run.ts';

let fixture: ApiFixture;
let url: string;
let acmeId: TenantId;
let apiKey: string;
let client: Client;
beforeAll(async () => {
  fixture = await createApiFixture();
  const tenant = await fixture.addTenant('acme');
  acmeId = tenant.tenantId;
  ({ key: apiKey } = await fixture.store.apiKeys.create(tenant, {
    name: 'c',
    role: 'admin',
    expiresAt: null,
  }));
  url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  client = createClient({ url, apiKey });
});
afterAll(() => fixture.drop());
beforeEach(async () => {
  fixture.forget();
  await fixture.pool.query('truncate penstock.run, penstock.slot, penstock.run_attempt');
});

const spec: SyncSpecInput = {
  name: 'subscribers',
  source: { connection: 'warehouse', query: 'select id from users' },
  destination: { connection: 'warehouse', table: 'sync.subscribers' },
  mode: 'append',
  key: ['id'],
};

const end = (id: string, set: string) =>
  fixture.pool.query(`update penstock.run set ${set}, ended_at = now() where id = $1`, [id]);
const receipt = aReceipt({ read: 2, inserted: 2, batches: 1, bytes: 9 });

/** A fetch that loses answers: the request arrives, and then the connection breaks. */
const losing = (times: number): { fetch: typeof fetch; lost: () => number } => {
  let lost = 0;
  return {
    lost: () => lost,
    fetch: async (...request) => {
      const response = await fetch(...request);
      if (lost >= times) return response;
      lost += 1;
      throw new TypeError('fetch failed');
    },
  };
};
const clientLosing = (times: number, options: Partial<ClientOptions> = {}) => {
  const { fetch, lost } = losing(times);
  return { client: createClient({ url, apiKey, fetch, ...options }), lost };
};

describe('the client', () => {
  test('makes, reads, changes and deletes what the API has', async () => {
    const connection = await client.connections.create({
      name: 'app-db',
      kind: 'postgres',
      host: 'db.example.com',
      database: 'app',
      user: 'writer',
      password: 'hush',
    });
    expect(await client.connections.fetch('app-db')).toEqual(connection);
    expect((await client.connections.test('app-db')).ok).toBe(true);
    expect((await client.connections.update('app-db', { database: 'app2' }, { ifVersion: 1 })).version).toBe(
      2,
    );
    const sync = await client.syncs.create({ ...spec, schedule: { every: '1h' } });
    expect(await client.syncs.fetch('subscribers')).toEqual(sync);
    expect((await client.syncs.update(sync.id, { priority: 1 })).priority).toBe(1);
    expect((await client.syncs.replace(sync.id, spec)).version).toBe(3);
    expect((await client.syncs.pause(sync.id, { reason: 'x' })).pause?.reason).toBe('x');
    expect((await client.syncs.resume(sync.id)).pause).toBeNull();
    expect(await client.syncs.next(sync.id)).toEqual([]);
    expect((await client.syncs.reset(sync.id)).how).toBe('reset');
    expect((await client.syncs.list({ name: 'subscribers' })).items).toHaveLength(1);
    await client.connections.delete('app-db');
    await expect(client.connections.fetch('app-db')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await client.tenants.list()).items).toMatchObject([{ id: acmeId }]);
  });

  test('throws problems with the API’s code, pointer and request id', async () => {
    await expect(client.syncs.create({ ...spec, name: 'A' })).rejects.toMatchObject({
      name: 'PenstockError',
      code: 'BAD_REQUEST',
      pointer: '/name',
      meta: { status: 400, requestId: expect.any(String) },
    });
    await expect(createClient({ url, apiKey: 'pk_x' }).runs.list()).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
    });
  });

  test('sends a trigger again whose answer was lost, and it is one run', async () => {
    const { client: unlucky, lost } = clientLosing(2);
    const run = await unlucky.syncs.trigger('subscribers');
    expect(lost()).toBe(2);
    expect((await client.runs.list()).items.map(({ id }) => id)).toEqual([run.id]);
  });

  test('gives up after the attempts it was given, and never repeats a change', async () => {
    await expect(clientLosing(9, { attempts: 2 }).client.runs.list()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    const { client: unlucky, lost } = clientLosing(9);
    await expect(unlucky.syncs.update('subscribers', { priority: 2 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
    });
    expect(lost()).toBe(1);
  });
});

describe('a run', () => {
  test('gives its result when it has succeeded, and its progress meanwhile', async () => {
    const run = await client.syncs.trigger('subscribers', { priority: 1 });
    expect(await run.progress()).toEqual({ rows: 0, bytes: 0, batches: 0 });
    const seen: string[] = [];
    const result = run.result({ onLook: ({ status }) => seen.push(status), lookEveryS: 1 });
    await end(run.id, `status = 'succeeded', receipt = '${JSON.stringify(receipt)}'`);
    expect(await result).toMatchObject({ id: run.id, status: 'succeeded', receipt });
    expect(seen.at(-1)).toBe('succeeded');
  });

  test('that failed throws its error; waiting for it gives it as it is', async () => {
    const run = await client.syncs.trigger('subscribers');
    await end(run.id, `status = 'failed', error_code = 'SOURCE_SQL', error_message = 'no such column'`);
    await expect(run.result()).rejects.toMatchObject({
      code: 'SOURCE_SQL',
      message: 'no such column',
      meta: { runId: run.id },
    });
    expect((await run.wait()).status).toBe('failed');
  });

  test('is cancelled', async () => {
    const run = await client.syncs.trigger('subscribers');
    expect((await run.cancel()).status).toBe('cancelled');
    await expect(run.result()).rejects.toMatchObject({ code: 'RUN_STATE' });
  });

  test('is no longer waited for when the caller says so', async () => {
    const run = await client.syncs.trigger('subscribers');
    const stop = new AbortController();
    const waiting = run.wait({ signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });
});
