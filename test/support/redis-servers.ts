/** Redis servers beside the shared one, run as users run them: with other settings, as replicas, Sentinels, a cluster. */
import { readFileSync } from 'node:fs';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { readDevOptions } from '../../src/config/dev-options.ts';
import { findProgram } from '../../src/dev/find-program.ts';
import { findFreePort } from '../../src/dev/free-port.ts';
import { Guard, type GuardedProcess } from '../../src/dev/guard.ts';
import { programs } from '../../src/dev/programs.ts';
import { cacheDir } from '../../src/dev/stack.ts';
import { tlsFile } from './tls-front.ts';
import { waitUntil } from './wait-until.ts';

export interface RedisNode {
  readonly port: number;
  readonly url: string;
  /** For looking into it, and for changing its settings. */
  readonly admin: Redis;
  readonly signal: (signal: NodeJS.Signals) => void;
  readonly kill: () => Promise<void>;
  /** On the same port and data, after it was killed; with these settings beside its own. */
  readonly start: (...settings: string[]) => Promise<void>;
}

/** What a user writes who reaches these nodes so. */
type UrlOf = (
  how: '' | '+sentinel' | '+cluster',
  nodes: readonly { readonly port: number }[],
  path?: string,
) => string;

export interface RedisServers {
  /** Lines of a configuration file. */
  readonly start: (...settings: string[]) => Promise<RedisNode>;
  readonly startSentinel: (master: RedisNode) => Promise<RedisNode>;
  /** Three masters with a replica each; resolves when each node sees all slots served. */
  readonly startCluster: () => Promise<RedisNode[]>;
  readonly urlOf: UrlOf;
  readonly close: () => Promise<void>;
}

const host = '127.0.0.1';

export interface RedisServersOptions {
  /** Another server than the one that the tests use. */
  readonly program?: string;
  /** Nothing is said in plain text, also among them, and everybody must show a certificate. */
  readonly tls?: boolean;
}

const [ca, cert, key] = ['ca.pem', 'server.pem', 'server.key'].map(tlsFile) as [string, string, string];

const tlsSettings = [
  `tls-ca-cert-file ${ca}`,
  `tls-cert-file ${cert}`,
  `tls-key-file ${key}`,
  'tls-auth-clients yes',
  'tls-replication yes',
  'port 0',
];

export async function createRedisServers({
  program,
  tls = false,
}: RedisServersOptions = {}): Promise<RedisServers> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-redis-'));
  const file =
    program ??
    (await findProgram(programs.redis, { options: readDevOptions(), cacheDir, log: () => {} })).file;
  const guard = new Guard();
  const nodes: RedisNode[] = [];

  const urlOf: UrlOf = (how, reached, path = '') =>
    `redis${tls ? 's' : ''}${how}://${reached.map(({ port }) => `${host}:${port}`).join(',')}${path}` +
    (tls ? `?sslrootcert=${ca}&sslcert=${cert}&sslkey=${key}` : '');

  const launch = async (mode: readonly string[], settings: readonly string[]): Promise<RedisNode> => {
    const port = await findFreePort();
    const dir = join(folder, String(port));
    await mkdir(dir);
    await writeFile(
      join(dir, 'redis.conf'),
      [
        `bind ${host}`,
        `dir ${dir}`,
        ...(tls ? [`tls-port ${port}`, ...tlsSettings] : [`port ${port}`]),
        ...settings,
        '',
      ].join('\n'),
    );
    const admin = new Redis({
      host,
      port,
      ...(tls && { tls: { ca: readFileSync(ca), cert: readFileSync(cert), key: readFileSync(key) } }),
      retryStrategy: () => 50,
      maxRetriesPerRequest: null,
    });
    admin.on('error', () => {});
    let running: GuardedProcess;
    const start = async (...more: string[]): Promise<void> => {
      await appendFile(join(dir, 'redis.conf'), more.map((line) => `${line}\n`).join(''));
      running = await guard.start({
        command: file,
        args: [join(dir, 'redis.conf'), ...mode],
        logFile: join(dir, 'log'),
        stopSignal: 'SIGKILL',
        graceMs: 1_000,
        stage: 0,
      });
      await waitUntil('Redis answers', () => admin.status === 'ready' || admin.status === 'connect');
    };
    const node: RedisNode = {
      port,
      url: urlOf('', [{ port }]),
      admin,
      signal: (signal) => running.signal(signal),
      async kill() {
        running.signal('SIGKILL');
        await running.exited;
      },
      start,
    };
    nodes.push(node);
    await start();
    return node;
  };
  const start: RedisServers['start'] = (...settings) => launch([], ['save ""', ...settings]);

  return {
    start,
    startSentinel: (master) =>
      launch(
        ['--sentinel'],
        [
          `sentinel monitor main ${host} ${master.port} 1`,
          'sentinel down-after-milliseconds main 500',
          'sentinel failover-timeout main 2000',
        ],
      ),
    async startCluster() {
      const settings = [
        'cluster-enabled yes',
        'cluster-node-timeout 1000',
        'cluster-replica-validity-factor 0',
        ...(tls ? ['tls-cluster yes'] : []),
      ];
      const members = await Promise.all(Array.from({ length: 6 }, () => start(...settings)));
      await formCluster(members);
      return members;
    },
    urlOf,
    async close() {
      for (const { admin } of nodes) admin.disconnect();
      await guard.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The first three are masters of a third of the slots each, the others their replicas. */
async function formCluster(members: readonly RedisNode[]): Promise<void> {
  const [first, ...others] = members as [RedisNode, ...RedisNode[]];
  const bounds = [0, 5_461, 10_923, 16_384];
  for (const [n, { admin }] of members.slice(0, 3).entries()) {
    const slots = Array.from({ length: bounds[n + 1]! - bounds[n]! }, (_, i) => bounds[n]! + i);
    await admin.cluster('ADDSLOTS', ...slots);
    await admin.cluster('SET-CONFIG-EPOCH', n + 1);
  }
  for (const { port } of others) await first.admin.cluster('MEET', host, port);
  const ids = await Promise.all(members.map(({ admin }) => admin.cluster('MYID')));
  for (const [n, { admin }] of members.slice(3).entries())
    await waitUntil('the replica knows its master', () =>
      admin.cluster('REPLICATE', ids[n]!).then(
        () => true,
        () => false,
      ),
    );
  await waitUntil('the cluster serves and every master has its replica', async () => {
    const states = await Promise.all(members.map(({ admin }) => admin.cluster('INFO')));
    const nodes = String(await first.admin.cluster('NODES'));
    return (
      states.every((state) => state.includes('cluster_state:ok')) && nodes.match(/\bslave\b/g)?.length === 3
    );
  });
}
