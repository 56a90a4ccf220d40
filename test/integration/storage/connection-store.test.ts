import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import type { ConnectionStore } from '../../../src/ports/connection-store.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import { fetchDestinationAccess } from '../../../src/storage/connection-access.ts';
import { openPassword } from '../../../src/storage/connection-secret.ts';
import {
  aConnection,
  aSpec,
  createControlFixture,
  type ControlFixture,
} from '../../support/control-fixture.ts';

let fixture: ControlFixture;
let connections: ConnectionStore;
let acme: Scope & { tenantId: TenantId };
let globex: Scope & { tenantId: TenantId };
beforeAll(async () => {
  fixture = await createControlFixture();
  connections = fixture.store.connections;
  acme = await fixture.addTenant('acme');
  globex = await fixture.addTenant('globex');
});
afterAll(() => fixture.drop());

async function fetchPassword(id: string): Promise<string> {
  const { rows } = await fixture.pool.query(
    `select c.id, c.name, c.tenant_id as "ownerId", encode(s.sealed, 'hex') as sealed
     from penstock.connection c join penstock.connection_secret s on s.connection_id = c.id where c.id = $1`,
    [id],
  );
  return openPassword(fixture.secretBox, rows[0]);
}

describe('a connection', () => {
  test('is found by id and by name, without its password', async () => {
    const made = await connections.create(acme, aConnection({ name: 'found' }));
    expect(JSON.stringify(made)).not.toContain('hush');
    expect(await connections.fetch(acme, made.id)).toEqual(made);
    expect(await connections.fetch(acme, 'found')).toEqual(made);
    expect(made).toMatchObject({
      tenantId: acme.tenantId,
      version: 1,
      host: 'db.example.com',
      kind: 'postgres',
    });
  });

  test('has its password sealed, bound to tenant and connection', async () => {
    const { id } = await connections.create(acme, aConnection({ name: 'sealed', password: 'pässword' }));
    expect(await fetchPassword(id)).toBe('pässword');
    const { rows } = await fixture.pool.query(
      `select position('hush'::bytea in sealed) as at from penstock.connection_secret where connection_id = $1`,
      [id],
    );
    expect(rows).toEqual([{ at: 0 }]);
  });

  test('has a name of its own in its tenant; another tenant may use the same', async () => {
    await expect(connections.create(acme, aConnection())).rejects.toMatchObject({
      code: 'CONFLICT',
      pointer: '/name',
    });
    expect((await connections.fetch(globex, 'warehouse')).tenantId).toBe(globex.tenantId);
  });

  test('of another tenant is not there', async () => {
    const { id } = await connections.fetch(globex, 'warehouse');
    for (const call of [
      () => connections.fetch(acme, id),
      () => connections.update(acme, id, { name: 'mine' }, undefined),
      () => connections.delete(acme, id, undefined),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect((await connections.list(acme, { limit: 100 })).items.map((item) => item.tenantId)).not.toContain(
      globex.tenantId,
    );
  });

  test('gets a version per change of settings, and keeps the old ones for runs', async () => {
    const { id } = await connections.create(acme, aConnection({ name: 'versioned' }));
    const changed = await connections.update(acme, id, { host: 'new.example.com', password: 'x' }, 1);
    expect(changed).toMatchObject({ version: 2, host: 'new.example.com' });
    expect(await fetchPassword(id)).toBe('x');
    await expect(connections.update(acme, id, { database: 'other' }, 1)).rejects.toMatchObject({
      code: 'VERSION_CONFLICT',
    });
    const { rows } = await fixture.pool.query(
      `select version, settings->>'host' as host from penstock.connection_version where connection_id = $1 order by 1`,
      [id],
    );
    expect(rows).toEqual([
      { version: 1, host: 'db.example.com' },
      { version: 2, host: 'new.example.com' },
    ]);
  });

  test('that only gets another password keeps its version', async () => {
    const { id } = await connections.create(acme, aConnection({ name: 'rotated' }));
    expect((await connections.update(acme, id, { password: 'next' }, undefined)).version).toBe(1);
    expect(await fetchPassword(id)).toBe('next');
  });

  test.each([
    { host: 'evil.example.com' },
    { port: 6543 },
    { user: 'other' },
    { tls: { mode: 'disable' as const } },
  ])('never sends its stored password elsewhere: %j needs it again', async (change) => {
    await expect(connections.update(acme, 'warehouse', change, undefined)).rejects.toMatchObject({
      code: 'BAD_REQUEST',
      pointer: '/password',
    });
  });

  test('that a sync uses cannot be deleted; afterwards its name is free and its password gone', async () => {
    const { id } = await connections.create(acme, aConnection({ name: 'used' }));
    const sync = await fixture.store.syncs.create(
      acme,
      aSpec({ name: 'user-of-it', source: { connection: 'used', query: 'select 1' } }),
    );
    await expect(connections.delete(acme, id, undefined)).rejects.toMatchObject({
      code: 'CONFLICT',
      message: expect.stringContaining('user-of-it'),
    });
    await fixture.store.syncs.delete(acme, sync.id, undefined);
    await connections.delete(acme, id, undefined);
    await expect(connections.fetch(acme, id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(fetchPassword(id)).rejects.toMatchObject({ code: 'CONFIG' });
    await connections.create(acme, aConnection({ name: 'used' }));
  });

  test('lists page by page, each once, in order', async () => {
    const tenant = await fixture.addTenant('lister');
    for (const name of ['b', 'a', 'd', 'c', 'e']) await connections.create(tenant, aConnection({ name }));
    const names: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      pages += 1;
      const page = await connections.list(tenant, { limit: 2, after });
      names.push(...page.items.map((item) => item.name));
      after = page.next ?? undefined;
    } while (after !== undefined);
    expect([names, pages]).toEqual([['warehouse', 'b', 'a', 'd', 'c', 'e'], 3]);
    await expect(connections.list(tenant, { limit: 2, after: 'x' })).rejects.toMatchObject({
      pointer: '/query/cursor',
    });
  });
});

describe('an operator’s connection', () => {
  const grant = { tablePattern: 'sync.*', scope: {}, databaseRole: 'acme_writer' };

  test('is a tenant’s to use once granted, and never to change', async () => {
    const shared = await connections.create(fixture.operator, aConnection({ name: 'app-db' }));
    expect(shared.tenantId).toBeNull();
    expect((await connections.fetch(fixture.operator, 'app-db')).id).toBe(shared.id);
    // a name that several tenants have means none of theirs
    await expect(connections.fetch(fixture.operator, 'warehouse')).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
    await expect(connections.fetch(acme, 'app-db')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await connections.grant(fixture.operator, 'app-db', { tenantId: acme.tenantId, ...grant });
    expect(await connections.fetch(acme, 'app-db')).toMatchObject({ id: shared.id });
    await expect(connections.fetch(globex, 'app-db')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(connections.update(acme, 'app-db', { name: 'x' }, undefined)).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    await expect(
      connections.grant(acme, 'app-db', { tenantId: acme.tenantId, ...grant }),
    ).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    expect(await connections.listGrants(fixture.operator, 'app-db')).toEqual([
      { tenantId: acme.tenantId, ...grant },
    ]);
  });

  test('is a destination for the tables of its grant only, and never a source', async () => {
    const to = (table: string) => aSpec({ name: 'granted', destination: { connection: 'app-db', table } });
    for (const table of ['public.users', 'subscribers'])
      await expect(fixture.store.syncs.create(acme, to(table))).rejects.toMatchObject({
        code: 'FORBIDDEN',
        pointer: '/destination/table',
      });
    await expect(
      fixture.store.syncs.create(
        acme,
        aSpec({ name: 'granted', source: { connection: 'app-db', query: 'select 1' } }),
      ),
    ).rejects.toMatchObject({ code: 'FORBIDDEN', pointer: '/source/connection' });
    const { id } = await fixture.store.syncs.create(acme, to('sync.acme'));
    const { databaseRole, ...granted } = grant;
    const access = await fetchDestinationAccess(fixture.pool, fixture.secretBox, id);
    expect(access).toMatchObject({ databaseRole, granted });
  });

  test('cannot be narrowed to tables that a sync of the tenant does not write', async () => {
    const narrowed = { tenantId: acme.tenantId, scope: {}, databaseRole: null, tablePattern: 'sync.other' };
    await expect(connections.grant(fixture.operator, 'app-db', narrowed)).rejects.toMatchObject({
      code: 'CONFLICT',
      pointer: '/tablePattern',
      message: expect.stringMatching(/^granted of that tenant/),
    });
    expect(await connections.listGrants(fixture.operator, 'app-db')).toMatchObject([grant]);
    const fitting = { ...narrowed, tablePattern: 'sync.acme' };
    await connections.grant(fixture.operator, 'app-db', fitting);
    expect(await connections.listGrants(fixture.operator, 'app-db')).toEqual([fitting]);
  });

  test('cannot be taken from a tenant whose sync uses it', async () => {
    await expect(connections.revokeGrant(fixture.operator, 'app-db', acme.tenantId)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    await fixture.store.syncs.delete(acme, 'granted', undefined);
    await connections.revokeGrant(fixture.operator, 'app-db', acme.tenantId);
    await expect(connections.fetch(acme, 'app-db')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('the audit', () => {
  test('says who changed what, without settings or secrets', async () => {
    const who = { ...acme, apiKeyId: newId('apiKey') };
    const { id } = await connections.create(who, aConnection({ name: 'audited' }));
    await connections.update(who, id, { host: 'h2', password: 'hush2' }, undefined);
    await connections.delete(who, id, undefined);
    const { rows } = await fixture.pool.query(
      'select action, tenant_id, api_key_id, data from penstock.audit where object_id = $1 order by id',
      [id],
    );
    const base = { tenant_id: acme.tenantId, api_key_id: who.apiKeyId };
    expect(rows).toEqual([
      { ...base, action: 'connection.create', data: {} },
      { ...base, action: 'connection.update', data: { changed: ['host', 'password'] } },
      { ...base, action: 'connection.delete', data: {} },
    ]);
  });
});
