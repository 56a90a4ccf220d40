/**
 * `penstock dev`: the embedded servers and, as processes of their own, the roles: api, dispatcher and two workers.
 * `<data-dir>/dev.json` always says where everything is, `<data-dir>/env` says it to a shell.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { childEnvironment } from '../config/child-environment.ts';
import { envNameOf, type OptionName } from '../config/options.ts';
import { PenstockError } from '../domain/errors.ts';
import { findFreePort } from './free-port.ts';
import { keepServers } from './keep-servers.ts';
import type { PostgresOptions, PostgresServer } from './postgres-server.ts';
import { startRoles, type RoleProcesses } from './role-processes.ts';
import { runCommand } from './run-command.ts';
import { packageDir, startStack, type Stack } from './stack.ts';

/** Where everything is; `penstock dev --json` prints it, and dev.json holds it. */
export interface DevAddresses {
  readonly apiUrl: string;
  /** Of an operator who may do everything. */
  readonly apiKey: string;
  readonly temporalUiUrl: string;
  /** host:port */
  readonly temporalAddress: string;
  /** Of the superuser: databases to copy from and to can be made here. The control database is `penstock`. */
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly dataDir: string;
  /** What a shell reads (`. <file>`) to use the other commands. */
  readonly envFile: string;
  /** By role and by server. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
}

export interface DevStack {
  readonly addresses: () => DevAddresses;
  /** For those who restart a server, or look into it. */
  readonly servers: Pick<Stack, 'postgres' | 'redis' | 'temporal'>;
  /** Rejects when a role refuses to run. */
  readonly refused: Promise<never>;
  /** Drains the roles, then stops the servers; the data stays. */
  readonly stop: () => Promise<void>;
}

const rolesWith = (workers: number) => [
  { name: 'api', role: 'api' },
  { name: 'dispatcher', role: 'dispatcher' },
  ...Array.from({ length: workers }, (_, i) => ({ name: `worker-${i + 1}`, role: 'worker' })),
];

const controlDatabase = 'penstock';
const apiReadyWithinMs = 60_000;
const everyNetwork = '0.0.0.0/0,::/0';

/** The CLI as built: roles run from `dist/` also when this file does not. */
const cli = join(packageDir, 'dist', 'cli', 'main.js');

interface DevOptions {
  readonly dataDir: string;
  readonly log: (line: string) => void;
  /** Repeats the roles' logs on standard error; they are in `<data-dir>/logs` in any case. */
  readonly echoLogs: boolean;
  /** Of the roles, beside those that say where everything is. */
  readonly options?: Options;
  /** Worker processes. Default 2. */
  readonly workers?: number;
  readonly postgres?: PostgresOptions;
  /** Starts servers that end again, as it does roles; off for those who end servers on purpose. */
  readonly keepServers?: boolean;
}

/**
 * Starts everything; resolves when the API answers.
 * @throws PenstockError of startStack, or of a role that refuses to run; nothing is left running then
 */
export async function startDevStack(options: DevOptions): Promise<DevStack> {
  const { dataDir, log, postgres = {} } = options;
  const stack = await startStack({ dataDir, log, postgres });
  try {
    return await startOn(stack, options);
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

async function startOn(
  stack: Stack,
  { log, echoLogs: echo, options = {}, workers = 2, keepServers: isKeeping = false }: DevOptions,
): Promise<DevStack> {
  await createControlDatabase(stack.postgres);
  const apiPort = await findFreePort();
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const env = roleEnvironment(stack, apiPort, options);
  await runCommand(process.execPath, [cli, 'migrate'], { env });
  const apiKey = await keptText(join(stack.dataDir, 'api-key'), () => createApiKey(env));

  const devJson = join(stack.dataDir, 'dev.json');
  const envFile = join(stack.dataDir, 'env');
  let running: RoleProcesses | undefined;
  const addresses = (): DevAddresses => ({
    apiUrl,
    apiKey,
    temporalUiUrl: stack.temporal.uiUrl,
    temporalAddress: stack.temporal.address,
    postgresUrl: stack.postgres.url,
    redisUrl: stack.redis.url,
    dataDir: stack.dataDir,
    envFile,
    pids: {
      ...running?.pids(),
      ...Object.fromEntries(Object.entries(stack.pids()).map(([name, pid]) => [name, [pid]])),
    },
  });
  const save = () => writePrivately(devJson, `${JSON.stringify(addresses(), null, 2)}\n`);

  running = await startRoles({
    guard: stack.guard,
    pidFile: stack.pidFile,
    processes: rolesWith(workers).map(({ name, role }) => ({
      name,
      role,
      spec: {
        command: process.execPath,
        args: [cli, 'start', '--roles', role],
        env,
        logFile: join(stack.dataDir, 'logs', `${name}.log`),
        echo,
      },
    })),
    log,
    onChange: save,
  });
  save();
  writePrivately(envFile, shellOf({ ...serverOptions(stack), apiUrl, apiKey }));
  const { refused, letGo } = running;
  await Promise.race([refused, untilApiAnswers(apiUrl)]);
  const { postgres, redis, temporal } = stack;
  const stopping = new AbortController();
  if (isKeeping) keepServers({ postgres, redis, temporal }, { log, onChange: save, signal: stopping.signal });
  return {
    addresses,
    servers: stack,
    refused,
    stop: async () => {
      stopping.abort();
      letGo();
      await stack.stop();
      for (const file of [devJson, envFile]) rmSync(file, { force: true });
    },
  };
}

type Options = Partial<Record<OptionName, string>>;

/** For `.`: sets and exports the options. */
const shellOf = (options: Options): string =>
  Object.entries(options)
    .map(([name, text]) => `export ${envNameOf(name as OptionName)}='${text}'\n`)
    .join('');

function serverOptions({ postgres, redis, temporal, dataDir }: Stack): Options {
  const masterKeyFile = join(dataDir, 'master-key');
  if (!existsSync(masterKeyFile)) writePrivately(masterKeyFile, `dev:${randomBytes(32).toString('base64')}`);
  return {
    databaseUrl: postgres.urlOf(controlDatabase),
    redisUrl: redis.url,
    temporalAddress: temporal.address,
    masterKey: readFileSync(masterKeyFile, 'utf8'),
  };
}

function roleEnvironment(stack: Stack, apiPort: number, options: Options): Record<string, string> {
  return childEnvironment({
    ...options,
    ...serverOptions(stack),
    temporalUiUrl: stack.temporal.uiUrl,
    apiHost: '127.0.0.1',
    apiPort: String(apiPort),
    publicUrl: `http://127.0.0.1:${apiPort}`,
    allowedNetworks: everyNetwork,
  });
}

async function createControlDatabase(postgres: PostgresServer): Promise<void> {
  const client = new Client({ connectionString: postgres.url });
  await client.connect();
  try {
    const found = await client.query('select from pg_database where datname = $1', [controlDatabase]);
    if (found.rowCount === 0) await client.query(`create database ${controlDatabase}`);
  } finally {
    await client.end();
  }
}

async function createApiKey(env: Record<string, string>): Promise<string> {
  const printed = await runCommand(process.execPath, [cli, 'keys', 'create', '--name', 'dev', '--json'], {
    env,
  });
  return (JSON.parse(printed) as { key: string }).key;
}

/** The text of the file, made once. */
async function keptText(file: string, make: () => Promise<string>): Promise<string> {
  if (!existsSync(file)) writePrivately(file, await make());
  return readFileSync(file, 'utf8');
}

/** For this user's eyes only, and whole or not at all. */
function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

async function untilApiAnswers(apiUrl: string): Promise<void> {
  for (const until = Date.now() + apiReadyWithinMs; Date.now() < until; await delay(50)) {
    const response = await fetch(`${apiUrl}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(
      () => undefined,
    );
    if (response?.ok) return;
  }
  throw new PenstockError('SERVER_FAILED', `The API does not answer after ${apiReadyWithinMs / 1000} s`);
}
