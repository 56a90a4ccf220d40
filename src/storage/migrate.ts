/**
 * Brings a control database to this version's schema. Migrations are numbered SQL files, forward-only, each applied in a
 * transaction of its own under an advisory lock: any number of processes may ask at once, and each returns when all is done.
 */
import { promises as fs } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { PG_MIGRATE_LOCK_ID, runner } from 'node-pg-migrate';
import { Client } from 'pg';
import { PenstockError } from '../domain/errors.ts';

/** The sources' folder from `src/` and from `dist/` alike: SQL is not compiled, so it is not copied either. */
const migrationsDir = fileURLToPath(new URL('../../src/storage/migrations', import.meta.url));

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export interface MigrateOptions {
  /** Applies the first of what is missing only. */
  readonly count?: number;
  /** How often a migration is tried whose table others hold. */
  readonly tries?: number;
}

/**
 * Applies what is missing. Whoever reads a table waits behind a migration that waits for it, so each wait is short, and
 * between two of them everybody gets through.
 * @returns names of the applied migrations, in order; empty when the schema was current
 * @throws PenstockError UNAVAILABLE, naming the session, when others hold a table all the time
 */
export const migrate = (
  databaseUrl: string,
  { count = Infinity, tries = 30 }: MigrateOptions = {},
): Promise<string[]> =>
  withClient(databaseUrl, async (client) => {
    // It goes with the connection. Here a wait may be long: another process is migrating.
    await client.query('select pg_advisory_lock($1)', [PG_MIGRATE_LOCK_ID]);
    await client.query(`set lock_timeout = '2s'`);
    const missing = (await fetchPending(client)).slice(0, count);
    for (let tried = 1; ; tried += 1) {
      const pending = await fetchPending(client);
      const left = missing.filter((name) => pending.includes(name)).length;
      if (left === 0) return missing;
      try {
        await applyNext(client, left);
      } catch (cause) {
        if ((cause as { code?: unknown }).code !== '55P03') throw cause;
        // The runner leaves its transaction open.
        await client.query('rollback');
        if (tried >= tries) throw await tablesHeld(client, cause);
        await delay(250);
      }
    }
  });

async function applyNext(dbClient: Client, count: number): Promise<void> {
  await runner({
    // Of its own the runner would let go without waiting until it is closed.
    dbClient,
    dir: migrationsDir,
    direction: 'up',
    count,
    migrationsTable: 'migration',
    migrationsSchema: 'penstock',
    createMigrationsSchema: true,
    noLock: true,
    logger: silent,
  });
}

/** Whoever has held a table of ours for longest is most likely in the way. */
async function tablesHeld(client: Client, cause: unknown): Promise<PenstockError> {
  const { rows } = await client.query<{ holder: string }>(
    `select format('session %s (application_name "%s", in a transaction since %s) holds %s on penstock.%s',
       a.pid, a.application_name, a.xact_start, l.mode, c.relname) as holder
     from pg_locks l join pg_class c on c.oid = l.relation join pg_stat_activity a on a.pid = l.pid
     where l.granted and c.relnamespace = to_regnamespace('penstock') and l.pid <> pg_backend_pid()
     order by a.xact_start limit 1`,
  );
  const holder = rows[0]?.holder ?? 'somebody who has let go by now holds a table';
  return new PenstockError(
    'UNAVAILABLE',
    `a migration could not have its tables: ${holder}. Wait for it, or end it, and migrate again; earlier migrations stay applied`,
    { cause },
  );
}

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
  withClient(databaseUrl, fetchPending);

async function fetchPending(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ known: boolean }>(
    `select to_regclass('penstock.migration') is not null as known`,
  );
  if (!rows[0]?.known) return listMigrations();
  const { rows: done } = await client.query<{ name: string }>('select name from penstock.migration');
  return (await listMigrations()).filter((name) => !done.some((row) => row.name === name));
}

async function withClient<T>(databaseUrl: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
