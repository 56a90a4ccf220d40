/** `penstock dev`: everything up, said in one line, kept current, drained at Ctrl-C, gone with its parent. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { Client } from 'pg';
import type { DevAddresses } from '../../../src/dev/dev-stack.ts';
import { identifyProcess } from '../../../src/dev/process-identity.ts';
import { waitUntil } from '../../support/wait-until.ts';

let dataDir: string;
let dev: { process: ChildProcess; addresses: DevAddresses; printed: string[]; logged: string[] };

beforeAll(async () => {
  dataDir = join(await mkdtemp(join(tmpdir(), 'penstock-dev-')), 'data');
  dev = await startDev();
}, 120_000);
afterAll(async () => {
  dev.process.kill('SIGKILL');
  await waitUntil('everything has ended', () => running().length === 0, 60_000);
  await rm(join(dataDir, '..'), { recursive: true, force: true });
});

async function startDev(): Promise<typeof dev> {
  const child = spawn(process.execPath, ['dist/cli/main.js', 'dev', '--data-dir', dataDir, '--json']);
  const [printed, logged]: [string[], string[]] = [[], []];
  createInterface({ input: child.stderr }).on('line', (line) => logged.push(line));
  const lines = createInterface({ input: child.stdout });
  lines.on('line', (line) => printed.push(line));
  await Promise.race([once(lines, 'line'), once(child, 'exit')]);
  if (printed.length === 0) throw new Error(`penstock dev ended:\n${logged.slice(-20).join('\n')}`);
  return { process: child, addresses: JSON.parse(printed[0]!) as DevAddresses, printed, logged };
}

const readDevJson = async () => JSON.parse(await readFile(join(dataDir, 'dev.json'), 'utf8')) as DevAddresses;

/** Pids of the latest start that still run. */
const running = () =>
  Object.values(dev.addresses.pids)
    .flat()
    .filter((pid) => identifyProcess(pid));

const getTenants = () =>
  fetch(`${dev.addresses.apiUrl}/v1/tenants`, {
    headers: { authorization: `Bearer ${dev.addresses.apiKey}` },
  });

async function runStatements(connectionString: string, sql: string): Promise<void> {
  const client = new Client({ connectionString });
  await client.connect();
  try {
    // One by one: a database cannot be made among others.
    for (const statement of sql.split(';\n')) await client.query(statement);
  } finally {
    await client.end();
  }
}

describe('penstock dev', () => {
  test('prints one line with everything in it, and dev.json says the same', async () => {
    const { addresses, printed } = dev;
    expect(printed).toHaveLength(1);
    expect(Object.keys(addresses).sort()).toEqual(
      'apiKey apiUrl dataDir envFile pids postgresUrl redisUrl temporalAddress temporalUiUrl'.split(' '),
    );
    expect(Object.entries(addresses.pids).map(([name, pids]) => [name, pids.length])).toEqual([
      ['api', 1],
      ['dispatcher', 1],
      ['worker', 2],
      ['postgres', 1],
      ['redis', 1],
      ['temporal', 1],
      ['guard', 1],
    ]);
    expect(await readDevJson()).toEqual(addresses);
    // It holds a key and a password.
    expect((await stat(join(dataDir, 'dev.json'))).mode & 0o777).toBe(0o600);
  });

  test('starts a server again that was killed, and says so', async () => {
    const [pid] = dev.addresses.pids['redis']!;
    process.kill(pid!, 'SIGKILL');
    await waitUntil('another one is told', async () => (await readDevJson()).pids['redis']?.[0] !== pid);
    await waitUntil('it is said', () =>
      dev.logged.includes(`redis (${pid}) ended by SIGKILL; starting it again`),
    );
    dev.addresses = await readDevJson();
    const ready = async () => (await fetch(`${dev.addresses.apiUrl}/readyz`)).ok;
    await waitUntil('all is ready', ready);
  });

  test('leaves a file for the shell, after which the other commands need nothing more', async () => {
    const { envFile } = dev.addresses;
    expect((await stat(envFile)).mode & 0o777).toBe(0o600);
    const script = `. "${envFile}" && node dist/cli/main.js doctor && node dist/cli/main.js runs`;
    const { stdout } = await promisify(execFile)('sh', ['-c', script]);
    expect(stdout).toMatch(/ok +temporal[^]*no runs/);
  });

  test('has an API that takes the key, a Web UI that answers and a database for the superuser', async () => {
    expect((await getTenants()).status).toBe(200);
    expect((await fetch(dev.addresses.temporalUiUrl)).status).toBe(200);
    const client = new Client({ connectionString: dev.addresses.postgresUrl });
    await client.connect();
    const { rows } = await client.query(
      `select datname from pg_database where datname = 'penstock' and pg_has_role('pg_write_server_files', 'usage')`,
    );
    await client.end();
    expect(rows).toHaveLength(1);
  });

  test('is enough for docs/first-sync.md: each of its commands does what it says', async () => {
    const page = await readFile('docs/first-sync.md', 'utf8');
    const blocksOf = (language: string) =>
      [...page.matchAll(new RegExp(`\`\`\`${language}\\n([^]+?)\`\`\``, 'g'))].map(([, block]) => block!);
    const [server, warehouse] = blocksOf('sql');
    const [setUp, ...commands] = blocksOf('sh');
    await runStatements(dev.addresses.postgresUrl, server!);
    await runStatements(dev.addresses.postgresUrl.replace(/postgres$/, 'warehouse'), warehouse!);
    // Neither npx nor curl is everywhere.
    const script = [
      `. "${dev.addresses.envFile}"`,
      /^port=.*$/m.exec(setUp!)![0],
      `penstock() { "${process.execPath}" dist/cli/main.js "$@"; }`,
      `api() { "${process.execPath}" test/support/ask-api.mjs "$@"; }`,
      ...commands,
    ].join('\n');
    const { stdout } = await promisify(execFile)('sh', ['-ec', script]);
    expect(stdout).toMatch(/ succeeded · [^]*\nequal: 100,000 rows/);
  }, 120_000);

  test('starts a killed worker again and says so in dev.json', async () => {
    const [killed, other] = dev.addresses.pids['worker']!;
    process.kill(killed!, 'SIGKILL');
    await waitUntil('dev.json names another worker', async () => {
      const pids = (await readDevJson()).pids['worker'] ?? [];
      return pids.length === 2 && pids.includes(other!) && !pids.includes(killed!);
    });
    await waitUntil('it is said', () =>
      dev.logged.join('\n').includes(`worker-1 (${killed}) ended by SIGKILL; starting it again`),
    );
    expect(dev.printed).toHaveLength(1);
    dev.addresses = await readDevJson();
    const started = dev.addresses.pids['worker']!.find((pid) => pid !== other);
    await waitUntil('the new worker is at work', () =>
      dev.logged.some((line) => line.includes(`"pid":${started},`) && line.includes('"worker: started"')),
    );
  });

  test('refuses to start a second time on the same folder, in one line', async () => {
    const second = spawn(process.execPath, ['dist/cli/main.js', 'dev', '--data-dir', dataDir]);
    let complaint = '';
    second.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const [code] = (await once(second, 'close')) as [number];
    expect([code, complaint]).toEqual([
      1,
      `penstock: ${dataDir} is used by process ${dev.process.pid}. [DATA_DIR_IN_USE] ` +
        'Stop it, or choose another folder with --data-dir.\n',
    ]);
  });

  test('ends clean at Ctrl-C, with every role drained, and keeps data and key for the next start', async () => {
    dev.process.kill('SIGINT');
    // Not `exit`, which does not wait for what has been printed.
    const [code] = (await once(dev.process, 'close')) as [number];
    expect([code, running()]).toEqual([0, []]);
    for (const name of ['dev.json', 'env']) expect(existsSync(join(dataDir, name))).toBe(false);
    // Neither while it connects nor when it ends on purpose is Redis said to be away.
    expect(dev.logged.filter((line) => /not reachable|isn't writeable/.test(line))).toEqual([]);
    // Of the api, the dispatcher and two workers.
    expect(dev.logged.filter((line) => line.includes('"msg":"stopped"'))).toHaveLength(4);
    const { apiKey } = dev.addresses;
    dev = await startDev();
    expect(dev.addresses.apiKey).toBe(apiKey);
    expect((await getTenants()).status).toBe(200);
  }, 120_000);

  test('takes servers and roles with it when it is killed with SIGKILL', async () => {
    dev.process.kill('SIGKILL');
    await waitUntil('everything has ended', () => running().length === 0, 60_000);
  });
});
