/** Redis on a loopback port, with an append-only file in `<data-dir>/redis` and no eviction. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { longFlags } from './run-command.ts';
import type { ServerContext, ServerHandle } from './server-process.ts';
import { startServer } from './server-process.ts';

export interface RedisServer extends ServerHandle {
  /** Without a database number: add `/n`. */
  readonly url: string;
  readonly port: number;
  /** How many numbered databases it has. */
  readonly databases: number;
}

const host = '127.0.0.1';
/** Far more than the default 16, so that every test file can have one of its own. */
const databases = 1024;

const settings = {
  bind: host,
  databases,
  appendonly: 'yes',
  save: '',
  'maxmemory-policy': 'noeviction',
  daemonize: 'no',
} as const;

/** Starts Redis; what an earlier start wrote to the folder is there again. */
export async function startRedis(context: ServerContext): Promise<RedisServer> {
  const folder = join(context.dataDir, 'redis');
  await mkdir(folder, { recursive: true });
  const { handle, ports } = await startServer(context, {
    name: 'redis',
    portCount: 1,
    command: ([port]) => ({
      command: context.program.file,
      args: longFlags({ ...settings, port: port!, dir: folder }),
    }),
    stopSignal: 'SIGTERM',
    graceMs: 5_000,
    probe: ([port]) => probe(port!),
    readyWithinMs: 20_000,
  });
  const port = ports[0]!;
  return { ...handle, url: `redis://${host}:${port}`, port, databases };
}

async function probe(port: number): Promise<void> {
  const redis = new Redis({
    host,
    port,
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 2_000,
  });
  redis.on('error', () => {});
  try {
    await redis.connect();
    await redis.ping();
  } finally {
    redis.disconnect();
  }
}
