/** A hot standby as source: what is in progress on its primary cannot be seen there, so young values wait. */
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { startStack, type Stack } from '../../../src/dev/stack.ts';
import type { Source } from '../../../src/ports/source.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { accessOf, createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let folder: string;
const stacks = new Set<Stack<'postgres'>>();
let primaryUrl: string;
let primary: Client;
let standby: Client;
let source: Source;

const start = async (name: string, settings: Record<string, string> = {}) => {
  const options = { dataDir: join(folder, name), log: () => {}, servers: ['postgres' as const] };
  const stack = await startStack({ ...options, postgres: { settings: { fsync: 'off', ...settings } } });
  stacks.add(stack);
  return stack;
};
const connect = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
};

/** Without pg_basebackup: a cluster that was shut down cleanly may be copied. */
beforeAll(async () => {
  room = await createPipeRoom();
  folder = await mkdtemp(join(tmpdir(), 'penstock-standby-'));
  const first = await start('primary');
  await first.stop();
  stacks.delete(first);
  await cp(join(folder, 'primary'), join(folder, 'standby'), { recursive: true, preserveTimestamps: true });
  await writeFile(join(folder, 'standby', 'postgres', 'data', 'standby.signal'), '');
  // Keepalives every half second: they carry the primary's clock. Nothing commits there but what a test does.
  const { postgres } = await start('primary', { wal_sender_timeout: '1s', autovacuum: 'off' });
  const { host, port, user, password } = postgres;
  primaryUrl = postgres.url;
  const replica = await start('standby', {
    primary_conninfo: `host=${host} port=${port} user=${user} password=${password}`,
    hot_standby: 'on',
  });
  [primary, standby] = [await connect(postgres.url), await connect(replica.postgres.url)];
  source = openPostgresSource(accessOf(replica.postgres.url), room.memory);
}, 60_000);
afterAll(async () => {
  await source.close();
  await Promise.all([primary.end(), standby.end()]);
  await Promise.all([...stacks].map((stack) => stack.stop()));
  await room.close();
  await rm(folder, { recursive: true, force: true });
}, 60_000);

const replayed = async (): Promise<void> => {
  const { rows } = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  await waitUntil('the replay of what is written', async () => {
    const sql = 'select pg_last_wal_replay_lsn() >= $1::pg_lsn as is';
    return (await standby.query<{ is: boolean }>(sql, [rows[0]!.lsn])).rows[0]!.is;
  });
};

describe('a cursor of time', () => {
  test('a transaction that commits late, with a lower value, is not passed over', async () => {
    await primary.query('create table events (id integer primary key, at timestamptz not null)');
    await primary.query(`insert into events values (1, now() - interval '2 hours')`);
    const late = await connect(primaryUrl);
    await late.query('begin; insert into events values (2, now())');
    await primary.query('insert into events values (3, clock_timestamp())');
    await replayed();
    const patient = (lag: string) =>
      room.sync({ query: 'select * from events', key: ['id'], cursor: { column: 'at', lag } });
    const sync = patient('1h');
    expect(await room.run(sync, { source })).toMatchObject({ read: 1 });
    await late.query('commit');
    await late.end();
    await replayed();
    expect(await room.run(sync, { source })).toMatchObject({ read: 0 });
    const soon = { ...sync, spec: { ...sync.spec, cursor: { column: 'at', lag: '1ms' } } };
    let read = 1;
    await waitUntil(
      'the reading of all',
      async () => (read += (await room.run(soon, { source })).read) === 3,
    );
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(
      await rowsAsText(primary, 'select * from events'),
    );
  });

  test('a primary that is idle is no reason to wait for its next commit', async () => {
    await primary.query('create table quiet (id integer primary key, at timestamptz not null)');
    await primary.query('insert into quiet values (1, clock_timestamp())');
    await replayed();
    const sync = room.sync({
      query: 'select * from quiet',
      key: ['id'],
      table: 'quiet',
      cursor: { column: 'at', lag: '300ms' },
    });
    await waitUntil('the reading of the row', async () => (await room.run(sync, { source })).read === 1);
  });
});

test('another cursor waits for as long as the lag', async () => {
  await primary.query('create table numbered (id integer primary key)');
  await primary.query('insert into numbered values (1), (2)');
  await replayed();
  const { columns } = await source.probe({ query: 'select * from numbered', key: ['id'], cursor: 'id' });
  const startedMs = performance.now();
  const high = await source.fetchHigh({
    query: 'select * from numbered',
    columns,
    cursor: { column: 'id', lookbackMs: 0, lagMs: 400, nulls: 'read' },
    low: null,
    signal: new AbortController().signal,
  });
  expect(high).toBe('2');
  expect(performance.now() - startedMs).toBeGreaterThan(350);
});
