/** A server and a hot standby that streams from it by a proxy, so that a test decides what the standby has heard. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PostgresServer } from '../../src/dev/postgres-server.ts';
import { startStack, type Stack } from '../../src/dev/stack.ts';
import { execute } from './execute.ts';
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts';
import { waitUntil } from './wait-until.ts';

type Settings = Readonly<Record<string, string>>;

export interface StandbyPair {
  readonly primary: PostgresServer;
  readonly standby: PostgresServer;
  /** Between the two. */
  readonly link: TcpProxy;
  /** Resolves once the standby shows what is committed now. */
  readonly replayed: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Without pg_basebackup: a cluster that was shut down cleanly may be copied. */
export async function startStandbyPair(
  settings: Record<'primary' | 'standby', Settings>,
): Promise<StandbyPair> {
  const folder = await mkdtemp(join(tmpdir(), 'penstock-standby-'));
  const start = (name: 'primary' | 'standby', more: Settings = {}): Promise<Stack<'postgres'>> =>
    startStack({
      dataDir: join(folder, name),
      log: () => {},
      servers: ['postgres'],
      postgres: { settings: { fsync: 'off', ...settings[name], ...more } },
    });
  await (await start('primary')).stop();
  await cp(join(folder, 'primary'), join(folder, 'standby'), { recursive: true, preserveTimestamps: true });
  await writeFile(join(folder, 'standby', 'postgres', 'data', 'standby.signal'), '');
  const first = await start('primary');
  const { host, port, user, password, url } = first.postgres;
  const link = await startTcpProxy({ host, port });
  const second = await start('standby', {
    primary_conninfo: `host=${host} port=${link.port} user=${user} password=${password}`,
    hot_standby: 'on',
  });
  return {
    primary: first.postgres,
    standby: second.postgres,
    link,
    replayed: async () => {
      const [now] = await execute<{ lsn: string }>(url, 'select pg_current_wal_lsn()::text as lsn');
      await waitUntil('the replay of what is written', async () => {
        const sql = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as is';
        return (await execute<{ is: boolean }>(second.postgres.url, sql, [now!.lsn]))[0]!.is;
      });
    },
    close: async () => {
      await Promise.all([first, second].map((stack) => stack.stop({ discard: true })));
      await link.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
