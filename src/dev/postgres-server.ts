/** PostgreSQL on a loopback port, its cluster in `<data-dir>/postgres/data`, with a password of its own. */
import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Client } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import type { RunAs } from './postgres-user.ts';
import { chooseRunAs } from './postgres-user.ts';
import { longFlags, runCommand } from './run-command.ts';
import type { ServerContext, ServerHandle } from './server-process.ts';
import { startServer } from './server-process.ts';

export interface PostgresOptions {
  /** Server settings, such as `{ fsync: 'off' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer extends ServerHandle {
  /** Of the superuser, database `postgres`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The same server and user, another database. */
  readonly urlOf: (database: string) => string;
}

const host = '127.0.0.1';
const user = 'postgres';

const baseSettings = {
  listen_addresses: host,
  unix_socket_directories: '',
  max_connections: '200',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_statement: 'none',
} as const;

const initdbFlags = {
  auth: 'scram-sha-256',
  encoding: 'UTF8',
  'no-locale': true,
  'no-sync': true,
  'no-instructions': true,
} as const;

/** Starts PostgreSQL; creates its cluster at the first start. */
export async function startPostgres(
  context: ServerContext,
  options: PostgresOptions = {},
): Promise<PostgresServer> {
  const home = join(context.dataDir, 'postgres');
  const runAs = await chooseRunAs(context.program.file, home);
  const password = await prepareCluster(home, runAs, context);
  const settings = Object.entries({ ...baseSettings, ...options.settings });
  const urlOf = (port: number, database: string) =>
    `postgres://${user}:${password}@${host}:${port}/${encodeURIComponent(database)}`;
  const { handle, ports } = await startServer(context, {
    name: 'postgres',
    portCount: 1,
    command: ([port]) => ({
      ...runAs.wrap(context.program.file, [
        '-D',
        join(home, 'data'),
        '-p',
        String(port),
        ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ]),
      ...(runAs.uid === undefined ? {} : { uid: runAs.uid }),
      ...(runAs.gid === undefined ? {} : { gid: runAs.gid }),
    }),
    // Fast shutdown: ends sessions and leaves a clean cluster.
    stopSignal: 'SIGINT',
    graceMs: 15_000,
    probe: ([port]) => probe(urlOf(port!, 'postgres')),
    readyWithinMs: 30_000,
  });
  const port = ports[0]!;
  return {
    ...handle,
    url: urlOf(port, 'postgres'),
    host,
    port,
    user,
    password,
    urlOf: (database) => urlOf(port, database),
  };
}

async function probe(connectionString: string): Promise<void> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  await client.end();
}

/** Runs initdb at the first start, beside the final place, so that a crash in between leaves nothing half done. */
async function prepareCluster(home: string, runAs: RunAs, context: ServerContext): Promise<string> {
  const data = join(home, 'data');
  const passwordFile = join(home, 'password');
  if (existsSync(data)) {
    await refuseOtherMajor(data, context.program.version);
    return readFile(passwordFile, 'utf8');
  }
  const draft = join(home, 'data.new');
  await rm(draft, { recursive: true, force: true });
  const password = randomBytes(18).toString('base64url');
  await writeFile(passwordFile, password, { mode: 0o600 });
  await mkdir(draft, { mode: 0o700 });
  if (runAs.uid !== undefined && runAs.gid !== undefined)
    for (const path of [passwordFile, draft]) await chown(path, runAs.uid, runAs.gid);
  const initdb = runAs.wrap(join(dirname(context.program.file), 'initdb'), [
    '-D',
    draft,
    ...longFlags({ ...initdbFlags, username: user, pwfile: passwordFile }),
  ]);
  const { uid, gid } = runAs;
  await runCommand(initdb.command, initdb.args, {
    cwd: '/',
    timeoutMs: 60_000,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  }).catch((error: Error) => {
    throw new PenstockError('SERVER_FAILED', `initdb failed: ${error.message}`, { cause: error });
  });
  await chmod(draft, 0o700);
  await rename(draft, data);
  return password;
}

async function refuseOtherMajor(data: string, version: string): Promise<void> {
  const made = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim();
  const found = version.split('.')[0];
  if (made === found) return;
  throw new PenstockError(
    'SERVER_FAILED',
    `${data} was made by PostgreSQL ${made}, the one found is ${version}. Delete the folder, choose another ` +
      `--data-dir, or name version ${made} with PENSTOCK_POSTGRES_BIN.`,
  );
}
