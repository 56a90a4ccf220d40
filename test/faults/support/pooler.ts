/** pgbouncer in transaction mode, from PATH or /usr/sbin. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../../src/dev/free-port.ts';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';

interface Pooler {
  readonly host: string;
  readonly port: number;
  readonly stop: () => Promise<void>;
}

const host = '127.0.0.1';

/**
 * @param databases by the name under which they are reached; the pooler logs in as the user of each URL
 * @param poolSize how many connections it has of each
 */
export async function startPooler(
  databases: Readonly<Record<string, string>>,
  poolSize = 10,
): Promise<Pooler> {
  const port = await findFreePort();
  const folder = await mkdtemp(join(tmpdir(), 'penstock-pooler-'));
  await chmod(folder, 0o755);
  const entries = Object.entries(databases).map(([name, url]) => {
    const { hostname, port, username, password, pathname } = new URL(url);
    return `${name} = host=${hostname} port=${port} user=${username} password=${password} dbname=${pathname.slice(1)}`;
  });
  const config = join(folder, 'pgbouncer.ini');
  await writeFile(
    config,
    `[databases]
${entries.join('\n')}
[pgbouncer]
listen_addr = ${host}
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = ${poolSize}
server_login_retry = 1
`,
  );
  // It does not run as root.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const child = spawn('pgbouncer', ['--quiet', config], { stdio: 'ignore', env, ...user });
  const ended = once(child, 'exit');
  const [first] = Object.keys(databases);
  await waitUntil('an answer by the pooler', async () => {
    // The database may not be there yet: what counts is who says so.
    const asked = execute(`postgres://somebody:any@${host}:${port}/${first}`, 'select');
    return asked.then(
      () => true,
      (error: { code?: string }) => /^\w{5}$/.test(error.code ?? ''),
    );
  });
  return {
    host,
    port,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
      await rm(folder, { recursive: true });
    },
  };
}
