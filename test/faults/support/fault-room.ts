/**
 * A source in the shared server, a destination server of its own that can crash, a proxy before it, and copies between
 * them that are processes of their own: the smallest room in which everything can break.
 */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import { accessOf } from '../../support/pipe-room.ts';
import { execute } from '../../support/execute.ts';
import { startNode, startPenstock, type PenstockProcess } from '../../support/penstock-process.ts';
import { createDatabase } from '../../support/stack.ts';
import { startPooler } from './pooler.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import type { RunOrder } from './work-at-run.ts';

export interface FaultRoom {
  readonly server: Stack<'postgres'>['postgres'];
  readonly proxy: TcpProxy;
  /** Where the server's files are. */
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

interface RoomOptions {
  /** Before both ends a pooler that gives away a server's connection transaction by transaction. */
  readonly pooled?: boolean;
}

export async function createFaultRoom({ pooled = false }: RoomOptions = {}): Promise<FaultRoom> {
  const source = await createDatabase();
  const dataDir = await mkdtemp(join(tmpdir(), 'penstock-faults-'));
  // Servers crash here, the machine does not.
  const settings = { fsync: 'off', full_page_writes: 'off' };
  const stack = await startStack({ dataDir, log: () => {}, servers: ['postgres'], postgres: { settings } });
  const { postgres: server } = stack;
  const pooler = pooled
    ? await startPooler({ [database]: server.urlOf(database), [source.name]: source.url })
    : null;
  const { host, port } = pooler ?? server;
  const proxy = await startTcpProxy({ host, port });
  const destinationUrl = server.urlOf(database);
  const at = (url: string, port: number): string => Object.assign(new URL(url), { port }).href;
  const [from, to] = [pooler ? at(source.url, pooler.port) : source.url, at(destinationUrl, proxy.port)];
  return {
    server,
    proxy,
    dataDir,
    pooled,
    sourceUrl: source.url,
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
      await stack.stop({ discard: true });
      await source.drop();
    },
  };
}
