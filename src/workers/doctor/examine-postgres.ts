/** The control database: reachable, new enough, migrated, walls up, secrets that open. */
import { Client } from 'pg';
import { listMigrations, listPendingMigrations } from '../../storage/migrate.ts';
import { listSealingKeys } from '../../storage/connection-secret.ts';
import { clockFinding, findingsOf, wordsOf, type Finding } from './finding.ts';

const { ok, warning, failed } = findingsOf('postgres');
const timeoutMs = 5_000;
const leastVersion = 140_000;

/** @param keyIds ids of the configured master keys */
export async function examinePostgres(databaseUrl: string, keyIds: readonly string[]): Promise<Finding[]> {
  const client = new Client({
    connectionString: databaseUrl,
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  });
  client.on('error', () => {});
  try {
    await client.connect();
    const findings = [await examineVersion(client), await examineClock(client), await examineLogin(client)];
    const pending = await listPendingMigrations(databaseUrl);
    findings.push(await examineMigrations(pending));
    if (pending.length === 0) findings.push(await examineWalls(client), await examineSecrets(client, keyIds));
    return findings;
  } catch (error) {
    return [
      failed('reachable', {
        detail: wordsOf(error),
        cure: 'Check PENSTOCK_DATABASE_URL, that the server runs, and that pg_hba.conf lets this login in.',
      }),
    ];
  } finally {
    await client.end().catch(() => {});
  }
}

async function examineVersion(client: Client): Promise<Finding> {
  const { rows } = await client.query<{ number: number; version: string }>(
    `select current_setting('server_version_num')::int as number, current_setting('server_version') as version`,
  );
  const { number = 0, version = '?' } = rows[0] ?? {};
  if (number >= leastVersion) return ok('version', version);
  return failed('version', { detail: version, cure: 'Use PostgreSQL 14 or later.' });
}

async function examineClock(client: Client): Promise<Finding> {
  const askedMs = Date.now();
  const { rows } = await client.query<{ ms: number }>(
    'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
  );
  return clockFinding('postgres', rows[0]?.ms ?? 0, askedMs, Date.now());
}

async function examineLogin(client: Client): Promise<Finding> {
  const { rows } = await client.query<{
    login: string;
    super: boolean;
    may_create: boolean;
    lacking: string[];
  }>(
    `select current_user as login, r.rolsuper as super, r.rolcreaterole as may_create,
       array(select wanted from unnest(array['penstock_api', 'penstock_engine', 'penstock_operator']) wanted
             where not exists (select from pg_roles where rolname = wanted)
               or not pg_has_role(current_user, wanted, 'member')) as lacking
     from pg_roles r where r.rolname = current_user`,
  );
  const { login = '?', super: isSuper, may_create: mayCreate, lacking = [] } = rows[0] ?? {};
  if (isSuper)
    return warning('login', {
      detail: `${login} is a superuser`,
      cure: 'Use a login that may take the roles penstock_api, penstock_engine and penstock_operator, and nothing more.',
    });
  if (lacking.length === 0) return ok('login', `${login} may take every role`);
  return failed('login', {
    detail: `${login} may not take ${lacking.join(', ')}`,
    cure: mayCreate
      ? 'Run `penstock migrate`.'
      : `As a superuser: grant penstock_api, penstock_engine, penstock_operator to "${login}".`,
  });
}

async function examineMigrations(pending: readonly string[]): Promise<Finding> {
  if (pending.length === 0) return ok('schema', `current (${(await listMigrations()).at(-1) ?? 'empty'})`);
  return failed('schema', { detail: `lacks ${pending.join(', ')}`, cure: 'Run `penstock migrate`.' });
}

/** Somebody may have switched row-level security off by hand. */
async function examineWalls(client: Client): Promise<Finding> {
  const { rows } = await client.query<{ name: string }>(
    `select c.relname as name from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
     where c.relnamespace = 'penstock'::regnamespace and c.relkind = 'r'
       and not (c.relrowsecurity and c.relforcerowsecurity)`,
  );
  if (rows.length === 0) return ok('tenants', 'row-level security is forced on every table');
  const tables = rows.map(({ name }) => name);
  return failed('tenants', {
    detail: `row-level security is off on ${tables.join(', ')}`,
    cure: tables
      .map((name) => `alter table penstock.${name} enable row level security, force row level security;`)
      .join(' '),
  });
}

async function examineSecrets(client: Client, keyIds: readonly string[]): Promise<Finding> {
  const sealing = await listSealingKeys(client).catch((error: unknown) => wordsOf(error));
  if (typeof sealing === 'string')
    return warning('secrets', { detail: `not looked at: ${sealing}`, cure: 'Mend the login first.' });
  const missing = sealing.filter(({ keyId }) => !keyIds.includes(keyId));
  if (missing.length === 0)
    return ok(
      'secrets',
      `every one of ${sealing.reduce((sum, { count }) => sum + count, 0)} has its master key`,
    );
  return failed('secrets', {
    detail: missing.map(({ keyId, count }) => `${count} sealed by the master key "${keyId}"`).join(', '),
    cure: 'Add that key to PENSTOCK_MASTER_KEY, after the one that is to seal.',
  });
}
