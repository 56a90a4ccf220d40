import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { listMigrations, listPendingMigrations, migrate } from '../../../src/storage/migrate.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createDatabase, type TestDatabase } from '../../support/stack.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

describe('migrate', () => {
  test('several processes at once apply each migration once, and all return when it is done', async () => {
    expect(await listPendingMigrations(database.url)).toEqual(await listMigrations());
    const applied = await Promise.all(Array.from({ length: 4 }, () => migrate(database.url)));
    expect(applied.flat()).toEqual(await listMigrations());
    expect(await listPendingMigrations(database.url)).toEqual([]);
    expect(await migrate(database.url)).toEqual([]);
  });

  test('works for a login that is no superuser but may create roles, and that login can take each role', async () => {
    const other = await createDatabase();
    const login = `owner_${other.name}`;
    const admin = new Client({ connectionString: other.url });
    await admin.connect();
    try {
      await admin.query(`create role "${login}" login createrole password 'x'`);
      await admin.query(`grant create on database "${other.name}" to "${login}"`);
      await admin.query(
        `grant penstock_api, penstock_engine, penstock_operator to "${login}" with admin option`,
      );
      const url = new URL(other.url);
      url.username = login;
      url.password = 'x';
      expect(await migrate(url.href)).toEqual(await listMigrations());
      const client = new Client({ connectionString: url.href });
      await client.connect();
      await client.query('set role penstock_api');
      expect((await client.query('select from penstock.tenant')).rowCount).toBe(0);
      await client.end();
    } finally {
      await admin.end();
      await other.drop();
    }
  });

  test('a table that others hold is waited for, named after a while, and its readers get through meanwhile', async () => {
    const held = await createDatabase();
    await migrate(held.url, { count: 16 });
    const missing = (await listMigrations()).slice(16);
    const [holder, reader] = [0, 1].map(() => new Client({ connectionString: held.url })) as [Client, Client];
    await Promise.all([holder.connect(), reader.connect()]);
    try {
      await holder.query(`set application_name = 'a report'`);
      await holder.query('begin; select from penstock.connection');
      await expect(migrate(held.url, { tries: 1 })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(
          /session \d+ \(application_name "a report", .* holds AccessShareLock on penstock\.connection/,
        ),
      });
      expect(await listPendingMigrations(held.url)).toEqual(missing);

      const migrated = migrate(held.url);
      await waitUntil('the migration waits for the table', async () => {
        const { rows } = await reader.query<{ waits: boolean }>(
          `select exists (select from pg_locks where not granted and relation = 'penstock.connection'::regclass) as waits`,
        );
        return rows[0]!.waits;
      });
      await reader.query(`set statement_timeout = '30s'`);
      await reader.query('select from penstock.connection');
      await holder.query('commit');
      expect(await migrated).toEqual(missing);
    } finally {
      await Promise.all([holder.end(), reader.end()]);
      await held.drop();
    }
  });

  test('0004 keeps what each pattern granted, and no name that was granted only by the _ of a like-pattern', async () => {
    const before = await createDatabase();
    const patterns = {
      'sync.%': 'sync.*',
      'sync.acme_%': 'sync.acme_*',
      'sync.acme\\_%': 'sync.acme_*',
      'sync%': 'sync*.*',
      '%': '*.*',
      'app.users': 'app.users',
      'app.a%b': 'app.a*b',
    };
    await migrate(before.url, { count: 3 });
    const client = new Client({ connectionString: before.url });
    await client.connect();
    try {
      await client.query(
        `insert into penstock.connection (id, name, kind) select 'con_' || i, 'c' || i, 'postgres' from generate_series(1, $1) as i`,
        [Object.keys(patterns).length],
      );
      await client.query(`insert into penstock.tenant (id, name) values ('ten_a', 'acme')`);
      await client.query(
        `insert into penstock.connection_grant (connection_id, tenant_id, table_pattern, database_role)
         select 'con_' || i, 'ten_a', pattern, 'writer' from unnest($1::text[]) with ordinality as t(pattern, i)`,
        [Object.keys(patterns)],
      );
      await migrate(before.url);
      const { rows } = await client.query(
        `select table_pattern as pattern, scope, database_role as role from penstock.connection_grant order by connection_id`,
      );
      expect(rows).toEqual(
        Object.values(patterns).map((pattern) => ({ pattern, scope: {}, role: 'writer' })),
      );
    } finally {
      await client.end();
      await before.drop();
    }
  });

  test.each([
    ['a gap', ['0001_a.sql', '0003_c.sql']],
    ['a double', ['0001_a.sql', '0001_b.sql', '0002_c.sql']],
    ['a name without a number', ['0001_a.sql', 'zz.sql']],
  ])('%s in the numbers is refused', async (_, names) => {
    const dir = await mkdtemp(join(tmpdir(), 'migrations-'));
    for (const name of names) await writeFile(join(dir, name), 'select 1');
    await expect(listMigrations(dir)).rejects.toMatchObject({ code: 'CONFIG' });
  });
});
