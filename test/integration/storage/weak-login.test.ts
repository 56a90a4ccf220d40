/** In production the login owns nothing: it may take the three roles, and that must be enough for all of storage. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Client, Pool } from 'pg';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import { createControlStore } from '../../../src/storage/control-store.ts';
import { fetchFormerDestinations } from '../../../src/storage/connection-access.ts';
import { createRunStore } from '../../../src/storage/run-store.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import {
  aConnection,
  aSpec,
  createControlFixture,
  type ControlFixture,
} from '../../support/control-fixture.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';

let fixture: ControlFixture;
let login: string;
let pool: Pool;
beforeAll(async () => {
  fixture = await createControlFixture();
  const admin = new Client({ connectionString: fixture.url });
  await admin.connect();
  login = `app_${new URL(fixture.url).pathname.slice(1)}`;
  await admin.query(`create role "${login}" login noinherit password 'x'`);
  await admin.query(`grant penstock_api, penstock_engine, penstock_operator to "${login}"`);
  await admin.end();
  const url = new URL(fixture.url);
  [url.username, url.password] = [login, 'x'];
  pool = new Pool({ connectionString: url.href, max: 4 });
});
afterAll(async () => {
  await pool.end();
  await fixture.pool.query(`drop owned by "${login}"; drop role "${login}"`).catch(() => {});
  await fixture.drop();
});

test('a login that may only take the roles can do everything but migrate', async () => {
  const { logger } = createKeptLogger();
  const hear = async () => {};
  const announcer = { publishDue: hear, offerRuns: hear, releaseRuns: hear, saveLimits: hear };
  const asked = async () => 'asked' as const;
  const { secretBox, operator } = fixture;
  const store = createControlStore({
    pool,
    secretBox,
    logger,
    announcer,
    starter: { cancel: asked, pause: asked, resume: asked },
  });
  expect(await fetchInstallation(pool)).toMatch(/^\d+-\d+$/);
  const { id: tenantId } = await store.tenants.create(operator, { name: 'acme', weight: 1 });
  const acme = { tenantId, apiKeyId: null };
  const { key } = await store.apiKeys.create(acme, { name: 'k', role: 'editor', expiresAt: null });
  expect(await store.apiKeys.authenticate(key)).toMatchObject({ tenantId });
  await store.connections.create(acme, aConnection());
  await store.connections.update(acme, 'warehouse', { password: 'next' }, undefined);
  const shared = await store.connections.create(operator, aConnection({ name: 'app-db' }));
  await store.connections.grant(operator, 'app-db', {
    tenantId,
    tablePattern: '*.*',
    scope: {},
    databaseRole: null,
  });
  const sync = await store.syncs.create(
    acme,
    aSpec({ schedule: { every: '1s' }, destination: { connection: 'app-db', table: 'public.t' } }),
  );
  await store.syncs.replace(acme, sync.id, aSpec({ schedule: { every: '2s' } }), 1);
  await store.syncs.pause(acme, sync.id, { reason: null, until: null });
  await store.syncs.resume(acme, sync.id);
  const { run } = await store.runs.trigger(acme, sync.id, { requestKey: 'k', priority: undefined });
  const schedule = createScheduleStore(pool);
  await schedule.settle([sync.id]);
  expect(await schedule.startRuns([run.id])).toMatchObject([{ verdict: 'start' }]);
  const runs = createRunStore({ pool, secretBox, announcer, logger });
  expect((await runs.prepare(run.id)).source.password).toBe('next');
  await store.runs.cancel(acme, run.id);
  expect(await runs.settleCancel(run.id)).toBe('cancelled');
  await store.syncs.delete(acme, sync.id, undefined);
  expect(await fetchFormerDestinations(pool, secretBox, sync.id)).toHaveLength(2);
  expect(await schedule.fetchReleases()).toEqual([sync.id]);
  await schedule.postponeRelease(sync.id, 60_000);
  expect(await schedule.fetchReleases()).toEqual([]);
  await schedule.noteReleased(sync.id);
  await store.connections.revokeGrant(operator, 'app-db', tenantId);
  await store.connections.delete(operator, shared.id, undefined);
  await expect(pool.query('select from penstock.tenant')).rejects.toThrow('permission denied');
});
