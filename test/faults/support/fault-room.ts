/**
 * A source and a destination, servers of their own that can crash, a proxy before the one that is written, and copies
 * between them that are processes: the smallest room in which everything can break.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from '../../../src/dev/postgres-server.ts';
import { startStack } from '../../../src/dev/stack.ts';
import { accessOf } from '../../support/pipe-room.ts';
import { execute } from '../../support/execute.ts';
import { startNode, startPenstock, type PenstockProcess } from '../../support/penstock-process.ts';
import { startPooler } from './pooler.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { RunOrder } from './work-at-run.ts';

export interface FaultRoom {
  /** Of the source, and of the destination. */
  readonly sourceServer: PostgresServer;
  readonly server: PostgresServer;
  readonly proxy: TcpProxy;
  /** Where the destination's files are. */
  readonly dataDir: string;
  readonly pooled: boolean;
  /** Of superusers; the destination's past the proxy. */
  readonly sourceUrl: string;
  readonly destinationUrl: string;
  /** An empty database at the destination in place of the one before. */
  readonly renew: () => Promise<void>;
  /** `penstock copy` from the source to the destination, by the proxy. */
  readonly startCopy: (flags: readonly string[]) => PenstockProcess;
  /** A worker of a run, the same way. */
  readonly startWorker: (order: Omit<RunOrder, 'from' | 'to'>) => PenstockProcess;
  readonly close: () => Promise<void>;
}

const database = 'faults';
const sourceDatabase = 'faults_source';

interface RoomOptions {
  /** Before both ends a pooler that gives away a server's connection transaction by transaction. */
  readonly pooled?: boolean;
}

export async function createFaultRoom({ pooled = false }: RoomOptions = {}): Promise<FaultRoom> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-faults-'));
  // Servers crash here, the machine does not.
  const settings = { fsync: 'off', full_page_writes: 'off' };
  const start = (name: string) =>
    startStack({ dataDir: join(folder, name), log: () => {}, servers: ['postgres'], postgres: { settings } });
  const stacks = await Promise.all([start('source'), start('destination')]);
  const [sourceServer, server] = stacks.map(({ postgres }) => postgres) as [PostgresServer, PostgresServer];
  await execute(sourceServer.url, `create database ${sourceDatabase}`);
  const sourceUrl = sourceServer.urlOf(sourceDatabase);
  const pooler = pooled
    ? await startPooler({ [database]: server.urlOf(database), [sourceDatabase]: sourceUrl })
    : null;
  const { host, port } = pooler ?? server;
  const proxy = await startTcpProxy({ host, port });
  const destinationUrl = server.urlOf(database);
  const at = (url: string, port: number): string => Object.assign(new URL(url), { port }).href;
  const [from, to] = [pooler ? at(sourceUrl, pooler.port) : sourceUrl, at(destinationUrl, proxy.port)];
  return {
    sourceServer,
    server,
    proxy,
    dataDir: join(folder, 'destination'),
    pooled,
    sourceUrl,
    destinationUrl,
    renew: async () => {
      await execute(server.url, `drop database if exists ${database} with (force)`);
      await execute(server.url, `create database ${database}`);
    },
    startCopy: (flags) => startPenstock(['copy', '--from', from, '--to', to, '--json', ...flags]),
    startWorker: (order) => {
      const all: RunOrder = { ...order, from: accessOf(from), to: accessOf(to) };
      const script = ['--import', './test/support/register-ts.mjs', 'test/faults/support/work-at-run.ts'];
      return startNode([...script, JSON.stringify(all)]);
    },
    close: async () => {
      await proxy.close();
      await pooler?.stop();
      await Promise.all(stacks.map((stack) => stack.stop({ discard: true })));
      await rm(folder, { recursive: true, force: true });
    },
  };
}
