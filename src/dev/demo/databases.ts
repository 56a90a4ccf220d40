/** The demo's two databases: a customer's warehouse, read by a login that may only read, and the team's own database. */
import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import type { ConnectionInput } from '../../client/index.ts';

interface DemoDatabase {
  /** With the login that Penstock gets; named like the database. */
  readonly connection: ConnectionInput;
  /** Of the superuser, to prepare and to compare. */
  readonly adminUrl: string;
}

export interface DemoDatabases {
  readonly warehouse: DemoDatabase;
  readonly app: DemoDatabase;
}

/** @param postgresUrl of the superuser of a server that has neither database yet */
export async function createDemoDatabases(postgresUrl: string): Promise<DemoDatabases> {
  const warehouse = describeDatabase(postgresUrl, 'acme-warehouse', 'acme_reader');
  const app = describeDatabase(postgresUrl, 'app-db', 'app_writer');
  const client = new Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    for (const { connection } of [warehouse, app])
      await client.query(`create role ${connection.user} login password '${connection.password}'`);
    await client.query('grant pg_read_all_data to acme_reader');
    await client.query('create database "acme-warehouse"');
    await client.query('create database "app-db" owner app_writer');
  } finally {
    await client.end();
  }
  return { warehouse, app };
}

function describeDatabase(postgresUrl: string, name: string, user: string): DemoDatabase {
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  return {
    connection: {
      name,
      kind: 'postgres',
      database: name,
      host: url.hostname,
      port: Number(url.port),
      user,
      password: randomBytes(18).toString('base64url'),
      tls: { mode: 'disable' },
    },
    adminUrl: url.href,
  };
}
