import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Pool, PoolClient } from 'pg';
import { newId, type TenantId } from '../../../src/domain/ids.ts';
import { inScope } from '../../../src/storage/in-scope.ts';
import { asEngine, asKeyHolder, asOperator, asTenant } from '../../../src/storage/transaction.ts';
import {
  createControlDatabase,
  plantTenant,
  type ControlDatabase,
  type PlantedTenant,
} from '../../support/control-database.ts';

let database: ControlDatabase;
let pool: Pool;
let acme: PlantedTenant;
let globex: PlantedTenant;
beforeAll(async () => {
  database = await createControlDatabase();
  pool = database.pool;
  acme = await plantTenant(pool, 'acme');
  globex = await plantTenant(pool, 'globex');
});
afterAll(() => database.drop());

const appRoles = ['penstock_api', 'penstock_engine', 'penstock_operator'];

interface TableFacts {
  name: string;
  enabled: boolean;
  forced: boolean;
  owner: string;
  policies: string[];
}

async function fetchTables(): Promise<TableFacts[]> {
  const { rows } = await pool.query<TableFacts>(
    `select c.relname as name, c.relrowsecurity as enabled, c.relforcerowsecurity as forced,
       pg_get_userbyid(c.relowner) as owner,
       array(select polname || ':' || r.rolname from pg_policy p join pg_roles r on r.oid = any (p.polroles)
             where p.polrelid = c.oid order by 1) as policies
     from pg_class c
     where c.relnamespace = 'penstock'::regnamespace and c.relkind in ('r', 'p')
       and (c.relname = 'tenant' or exists (select from pg_attribute a
            where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped))`,
  );
  return rows;
}

describe('the catalog', () => {
  test('every table with a tenant_id has row-level security, forced, with a policy for each role', async () => {
    const tables = await fetchTables();
    expect(tables.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['tenant', 'sync', 'run', 'slot', 'event']),
    );
    for (const table of tables)
      expect(table).toEqual({
        ...table,
        enabled: true,
        forced: true,
        policies: expect.arrayContaining([
          'engine_sees_all:penstock_engine',
          'operator_sees_all:penstock_operator',
          'tenant_wall:penstock_api',
        ]),
      });
  });

  test('no policy is open to every role', async () => {
    const { rows } = await pool.query(
      `select polname from pg_policy where 0 = any (polroles) and polrelid in
         (select oid from pg_class where relnamespace = 'penstock'::regnamespace)`,
    );
    expect(rows).toEqual([]);
  });

  test('no role of the application owns anything, logs in or bypasses row-level security', async () => {
    for (const { owner } of await fetchTables()) expect(appRoles).not.toContain(owner);
    const { rows } = await pool.query(
      `select rolname from pg_roles where rolname = any ($1) and (rolsuper or rolbypassrls or rolcanlogin)`,
      [appRoles],
    );
    expect(rows).toEqual([]);
  });

  test('every table of the schema without a tenant_id is one that holds nobody’s data', async () => {
    const walled = (await fetchTables()).map(({ name }) => name);
    const { rows } = await pool.query<{ name: string }>(
      `select relname as name from pg_class
       where relnamespace = 'penstock'::regnamespace and relkind in ('r', 'p', 'v', 'm') and relname <> all ($1)
       order by 1`,
      [walled],
    );
    expect(rows).toEqual([{ name: 'maintenance' }, { name: 'migration' }]);
  });
});

describe('a tenant', () => {
  const seenBy = (tenantId: TenantId, table: string) =>
    asTenant(pool, tenantId, async (tx) => (await tx.query(`select * from penstock.${table}`)).rows);

  test.each(['connection', 'connection_version', 'sync', 'sync_version'])(
    'sees its own rows of %s and no others',
    async (table) => {
      const rows = await seenBy(acme.tenantId, table);
      expect(rows.map((row: { tenant_id: string }) => row.tenant_id)).toEqual([acme.tenantId]);
    },
  );

  test('sees itself and no other tenant', async () => {
    expect(await seenBy(acme.tenantId, 'tenant')).toMatchObject([{ id: acme.tenantId }]);
  });

  test('that is not named sees nothing at all', async () => {
    const client = await pool.connect();
    try {
      await client.query('begin; set local role penstock_api');
      for (const { name } of await fetchTables())
        expect([
          name,
          (await client.query(`select count(*)::int as n from penstock.${name}`)).rows[0],
        ]).toEqual([name, { n: 0 }]);
    } finally {
      await client.query('rollback');
      client.release();
    }
  });

  test('cannot change, take over or add to another tenant’s rows', async () => {
    await asTenant(pool, acme.tenantId, async (tx) => {
      const renamed = await tx.query(`update penstock.sync set name = 'mine' where id = $1`, [globex.syncId]);
      expect(renamed.rowCount).toBe(0);
    });
    await expect(
      asTenant(pool, acme.tenantId, (tx) =>
        tx.query(`insert into penstock.event (tenant_id, kind) values ($1, 'x')`, [globex.tenantId]),
      ),
    ).rejects.toThrow('row-level security');
    await expect(
      asTenant(pool, acme.tenantId, (tx) =>
        tx.query('update penstock.sync set tenant_id = $1 where id = $2', [globex.tenantId, acme.syncId]),
      ),
    ).rejects.toThrow('row-level security');
  });

  test('cannot hang its own rows under another tenant’s sync or connection', async () => {
    await expect(
      asTenant(pool, acme.tenantId, (tx) =>
        tx.query(
          `insert into penstock.sync_version (sync_id, version, tenant_id, spec) values ($1, 2, $2, '{}')`,
          [globex.syncId, acme.tenantId],
        ),
      ),
    ).rejects.toThrow('sync_version_is_its_tenants');
    await expect(
      asTenant(pool, acme.tenantId, (tx) =>
        tx.query(
          `insert into penstock.connection_version (connection_id, version, tenant_id, settings) values ($1, 2, $2, '{}')`,
          [globex.connectionId, acme.tenantId],
        ),
      ),
    ).rejects.toThrow('connection_version_is_its_owners');
  });

  test('cannot weigh itself, grant itself a connection or report attempts', async () => {
    for (const statement of [
      'update penstock.tenant set weight = 1000',
      `insert into penstock.connection_grant values ('${globex.connectionId}', '${acme.tenantId}', '*.*')`,
      'update penstock.run_attempt set rows = 0',
      `update penstock.migration set name = 'x'`,
    ])
      await expect(asTenant(pool, acme.tenantId, (tx) => tx.query(statement))).rejects.toThrow(
        'permission denied',
      );
  });

  test('sees an operator’s connection once it is granted, and never its secret', async () => {
    const shared = newId('connection');
    await pool.query(
      `insert into penstock.connection (id, tenant_id, name, kind) values ($1, null, 'app-db', 'postgres')`,
      [shared],
    );
    const sees = () =>
      asTenant(
        pool,
        acme.tenantId,
        async (tx) => (await tx.query('select from penstock.connection where id = $1', [shared])).rowCount,
      );
    expect(await sees()).toBe(0);
    await pool.query('insert into penstock.connection_grant values ($1, $2, $3)', [
      shared,
      acme.tenantId,
      'sync.*',
    ]);
    expect(await sees()).toBe(1);
    await expect(
      asTenant(pool, acme.tenantId, (tx) => tx.query('select sealed from penstock.connection_secret')),
    ).rejects.toThrow('permission denied');
  });

  test('leaves no trace of itself on the pooled connection', async () => {
    await asTenant(pool, acme.tenantId, (tx) => tx.query('select 1'));
    const { rows } = await pool.query(
      `select current_user <> session_user as switched, current_setting('penstock.tenant', true) as tenant`,
    );
    expect(rows).toEqual([{ switched: false, tenant: '' }]);
  });
});

describe('a transaction', () => {
  test('that hangs is ended by the database, with its locks', async () => {
    const { rows } = await asTenant(pool, acme.tenantId, (tx) =>
      tx.query(
        `select name, setting::int as ms from pg_settings
         where name in ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout') and setting::int > 0`,
      ),
    );
    expect(rows).toHaveLength(3);
    const hung = asTenant(pool, acme.tenantId, async (tx) => {
      await tx.query(`set local idle_in_transaction_session_timeout = '1ms'`);
      await new Promise<void>((resolve) => {
        (tx as PoolClient).once('error', () => resolve());
      });
      await tx.query('select 1');
    });
    await expect(hung).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await asTenant(pool, acme.tenantId, async (tx) => (await tx.query('select 1')).rowCount)).toBe(1);
  });

  test('of a request that waits too long for a row may be tried again', async () => {
    const scope = { tenantId: acme.tenantId, apiKeyId: null };
    await asEngine(pool, async (holder) => {
      await holder.query('select from penstock.sync where id = $1 for update', [acme.syncId]);
      await expect(
        inScope(pool, scope, async (tx) => {
          await tx.query(`set local lock_timeout = '1ms'`);
          await tx.query('select from penstock.sync for update');
        }),
      ).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    });
  });
});

describe('the other roles', () => {
  test('engine and operator see every tenant; only the engine reads sealed secrets', async () => {
    for (const work of [asEngine, asOperator])
      expect(await work(pool, async (tx) => (await tx.query('select from penstock.sync')).rowCount)).toBe(2);
    expect(
      await asEngine(
        pool,
        async (tx) => (await tx.query('select sealed from penstock.connection_secret')).rowCount,
      ),
    ).toBe(2);
    await expect(
      asOperator(pool, (tx) => tx.query('select sealed from penstock.connection_secret')),
    ).rejects.toThrow('permission denied');
  });

  test('nobody rewrites events or audit', async () => {
    for (const work of [asEngine, asOperator])
      for (const table of ['event', 'audit'])
        await expect(
          work(pool, (tx) => tx.query(`update penstock.${table} set tenant_id = null`)),
        ).rejects.toThrow('permission denied');
  });

  test('the holder of a hash sees that key and no other', async () => {
    const hash = Buffer.alloc(32, 9);
    for (const [name, bytes] of [
      ['mine', hash],
      ['other', Buffer.alloc(32, 8)],
    ] as const)
      await pool.query(
        `insert into penstock.api_key (id, tenant_id, name, role, prefix, hash) values ($1, $2, $3, 'admin', 'pk_x', $4)`,
        [newId('apiKey'), acme.tenantId, name, bytes],
      );
    const names = await asKeyHolder(pool, hash.toString('hex'), async (tx) =>
      (await tx.query<{ name: string }>('select name from penstock.api_key')).rows.map(({ name }) => name),
    );
    expect(names).toEqual(['mine']);
  });
});
