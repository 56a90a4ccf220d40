/**
 * Brings a control database to this version's schema. Migrations are numbered SQL files, forward-only, applied in one
 * transaction under an advisory lock: any number of processes may ask at once, and each returns when it is done.
 */
import { promises as fs } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runner } from 'node-pg-migrate';
import { Client } from 'pg';
import { PenstockError } from '../domain/errors.ts';

/** The sources' folder from `src/` and from `dist/` alike: SQL is not compiled, so it is not copied either. */
const migrationsDir = fileURLToPath(new URL('../../src/storage/migrations', import.meta.url));

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/**
 * Applies what is missing, or the first `count` of it.
 * @returns names of the applied migrations, in order; empty when the schema was current
 */
export const migrate = (databaseUrl: string, count?: number): Promise<string[]> =>
  withClient(databaseUrl, async (dbClient) => {
    const applied = await runner({
      // Of its own the runner would let go without waiting until it is closed.
      dbClient,
      dir: migrationsDir,
      direction: 'up',
      ...(count !== undefined && { count }),
      migrationsTable: 'migration',
      migrationsSchema: 'penstock',
      createMigrationsSchema: true,
      advisoryLockMode: 'wait',
      logger: silent,
    });
    return applied.map(({ name }) => name);
  });

/** Names of the migrations that this version brings, in order. Throws CONFIG when the numbers have a gap or a double. */
export async function listMigrations(dir: string = migrationsDir): Promise<string[]> {
  const names = (await fs.readdir(dir)).filter((name) => name.endsWith('.sql')).sort();
  for (const [index, name] of names.entries()) {
    const number = String(index + 1).padStart(4, '0');
    if (!new RegExp(`^${number}_[a-z0-9_]+\\.sql$`).test(name))
      throw new PenstockError(
        'CONFIG',
        `migration ${name} is out of line: its name must be ${number}_<words>.sql`,
      );
  }
  return names.map((name) => name.slice(0, -'.sql'.length));
}

/** Names of the migrations that this version brings and the database lacks. */
export const listPendingMigrations = (databaseUrl: string): Promise<string[]> =>
  withClient(databaseUrl, async (client) => {
    const { rows } = await client.query<{ known: boolean }>(
      `select to_regclass('penstock.migration') is not null as known`,
    );
    if (!rows[0]?.known) return listMigrations();
    const { rows: done } = await client.query<{ name: string }>('select name from penstock.migration');
    return (await listMigrations()).filter((name) => !done.some((row) => row.name === name));
  });

async function withClient<T>(databaseUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
