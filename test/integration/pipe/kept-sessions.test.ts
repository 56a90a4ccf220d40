/** Sessions at sources and destinations that go from one piece of work to the next: to whom, how clean, and until when. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { promisify } from 'node:util';
import type { Client } from 'pg';
import { defaultTimeouts } from '../../../src/destinations/postgres/destination-session.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { newId } from '../../../src/domain/ids.ts';
import type { ConnectionAccess } from '../../../src/ports/connection.ts';
import type { Destination } from '../../../src/ports/destination.ts';
import type { Source } from '../../../src/ports/source.ts';
import { KeptSessions } from '../../../src/postgres-client/kept-sessions.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { createPipeRoom, type PipeRoom } from '../../support/pipe-room.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const built = new URL('../../../dist/postgres-client/kept-sessions.js', import.meta.url).href;
/** They wait for longer than a test takes, and for answers as long. */
const never = { waitMs: 60_000, cleanMs: 60_000 };
let room: PipeRoom;
let proxies: { source: TcpProxy; destination: TcpProxy };
let sessions: KeptSessions;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text)');
  await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 5000) as i`);
});
beforeEach(async () => {
  const [source, destination] = [
    await startTcpProxy(room.sourceAccess),
    await startTcpProxy(room.destinationAccess),
  ];
  proxies = { source, destination };
  sessions = new KeptSessions(never);
});
afterEach(async () => {
  await sessions.close();
  await Promise.all([proxies.source.close(), proxies.destination.close()]);
  await Promise.all([untilNothingIsLeft(room.from), untilNothingIsLeft(room.to)]);
});
afterAll(() => room.close());

const sourceAccess = (over: Partial<ConnectionAccess> = {}): ConnectionAccess => ({
  ...room.sourceAccess,
  port: proxies.source.port,
  tenantId: 'ten_one',
  ...over,
});
const destinationAccess = (): ConnectionAccess => ({
  ...room.destinationAccess,
  port: proxies.destination.port,
  tenantId: 'ten_one',
});
const openSource = (over: Partial<ConnectionAccess> = {}) =>
  openPostgresSource(sourceAccess(over), room.memory, sessions);
/** It never logs in a second time to see what blocks it. */
const timeouts = { ...defaultTimeouts, graceMs: 600_000 };
const openDestination = () => openPostgresDestination(destinationAccess(), { sessions, timeouts });

/** Our sessions at one end, by what they do. */
const statesAt = async (end: Client): Promise<string[]> => {
  const sql = `select state from pg_stat_activity
    where application_name like 'penstock%' and datname = current_database()`;
  return (await end.query<{ state: string }>(sql)).rows.map(({ state }) => state);
};
const untilNothingIsLeft = (end: Client) =>
  waitUntil('the end of all sessions', async () => (await statesAt(end)).length === 0);

const valueOf = async (client: Client, sql: string): Promise<unknown> =>
  Object.values((await client.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
const pidOf = (client: Client) => valueOf(client, 'select pg_backend_pid()');
const take = (access: ConnectionAccess = sourceAccess()): Promise<Client> =>
  sessions.take(access, { gulps: true });
/** The session's process, once it waits. */
const usedAndGivenBack = async (access: ConnectionAccess): Promise<unknown> => {
  const client = await take(access);
  const pid = await pidOf(client);
  await sessions.giveBack(client);
  return pid;
};

interface Opened {
  source: Source;
  destination: Destination;
}

/** A step as a worker does it: it opens its ends anew. */
async function step<T>(work: (ends: Opened) => Promise<T>): Promise<T> {
  const ends = { source: openSource(), destination: openDestination() };
  try {
    return await work(ends);
  } finally {
    await Promise.all([ends.source.close(), ends.destination.close()]);
  }
}

const query = 'select * from numbers';
const smallBatches = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };

async function prepared(ends: Opened, reader: 'copy' | 'cursor' = 'copy') {
  const run = newId('run');
  return { run, load: await room.prepare(room.sync({ query, key: ['id'] }, reader), run, ends) };
}

async function runOnce(reader: 'copy' | 'cursor' = 'copy'): Promise<void> {
  await room.to.query('drop table if exists target');
  const { run, load } = await step((ends) => prepared(ends, reader));
  const copied = await step((ends) => room.attempt(run, load, ends));
  expect(copied).toMatchObject({ outcome: 'finished', rows: 5000 });
  await step(({ destination }) => destination.finish({ run, load: load.loadId }));
}

describe('a session whose work ended well', () => {
  test('serves prepare, copy and finish of one run, and the next run: one login at each end', async () => {
    await runOnce();
    await runOnce();
    expect([proxies.source.connections, proxies.destination.connections]).toEqual([1, 1]);
    expect([await statesAt(room.from), await statesAt(room.to)]).toEqual([['idle'], ['idle']]);
  });

  test('serves what reads by a cursor as well', async () => {
    await runOnce('cursor');
    await runOnce('cursor');
    expect(await statesAt(room.from)).toEqual(['idle', 'idle']);
    expect(proxies.source.connections).toBe(2);
  });

  test('has nothing left of the work before', async () => {
    const access = sourceAccess();
    const before = await take(access);
    await room.from.query('drop role if exists someone_else; create role someone_else');
    await before.query(`set search_path = nowhere; set custom.mark = 'behind'`);
    await before.query(`create temp table left_behind (id integer); create temp sequence counter`);
    await before.query(`select nextval('counter'), pg_advisory_lock(4711); listen left_channel`);
    await before.query(`declare held cursor with hold for select 1; set session authorization someone_else`);
    const pid = await pidOf(before);
    await sessions.giveBack(before);

    const client = await take(access);
    expect(await pidOf(client)).toBe(pid);
    const found = async (sql: string) => valueOf(client, sql);
    expect({
      searchPath: await found('show search_path'),
      user: await found('select current_user'),
      sessionUser: await found('select session_user'),
      setting: await found(`select nullif(current_setting('custom.mark', true), '')`),
      table: await found(`select to_regclass('left_behind')`),
      locks: await found(
        `select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()`,
      ),
      channels: await found('select count(*)::int from pg_listening_channels()'),
      cursors: await found('select count(*)::int from pg_cursors where name <> $$$$'),
    }).toEqual({
      searchPath: '"$user", public',
      user: access.user,
      sessionUser: access.user,
      setting: null,
      table: null,
      locks: 0,
      channels: 0,
      cursors: 0,
    });
    await expect(client.query('select lastval()')).rejects.toMatchObject({ code: '55000' });
    await sessions.giveBack(client);
    await room.from.query('drop role someone_else');
  });

  test('ends when nobody has come for a moment', async () => {
    const brief = new KeptSessions({ waitMs: 50 });
    await brief.giveBack(await brief.take(sourceAccess()));
    await untilNothingIsLeft(room.from);
  });

  test('is not kept when it logged in long ago', async () => {
    const strict = new KeptSessions({ ...never, maxAgeMs: 0 });
    await strict.giveBack(await strict.take(sourceAccess()));
    await untilNothingIsLeft(room.from);
  });

  test('is not kept beyond so many in all: who has waited longest goes', async () => {
    const few = new KeptSessions({ ...never, maxWaiting: 2 });
    const clients = await Promise.all([1, 2, 3].map(() => few.take(sourceAccess())));
    const pids = await Promise.all(clients.map(pidOf));
    for (const client of clients) await few.giveBack(client);
    const again = await Promise.all([1, 2].map(() => few.take(sourceAccess())));
    expect(await Promise.all(again.map(pidOf))).toEqual([pids[2], pids[1]]);
    expect(proxies.source.connections).toBe(3);
    await Promise.all(again.map((client) => few.giveBack(client)));
    await few.close();
  });

  test('is waited for where the server grants no more: another process may be keeping the last', async () => {
    await room.from.query(
      `drop role if exists narrow; create role narrow login password 'n' connection limit 1`,
    );
    const access = sourceAccess({ user: 'narrow', password: 'n' });
    const [ours, theirs] = [new KeptSessions({ waitMs: 200 }), new KeptSessions({ waitMs: 200 })];
    await theirs.giveBack(await theirs.take(access));
    const triedMs: number[] = [];
    const resolve = async (host: string) => {
      triedMs.push(performance.now());
      // However long the server takes to end the session that the other has let go.
      if (triedMs.length === 2) await untilNothingIsLeft(room.from);
      return [host];
    };
    const client = await ours.take({ ...access, resolve });
    expect(triedMs).toHaveLength(2);
    expect(triedMs[1]! - triedMs[0]!).toBeGreaterThan(200);
    await expect(theirs.take(access)).rejects.toMatchObject({ code: '53300' });
    await ours.giveBack(client);
    await ours.close();
    await room.from.query('drop role narrow');
  });

  test('stays where another server says that it grants no more, which may be a lie', async () => {
    await usedAndGivenBack(destinationAccess());
    const refusal = 'SFATAL\0C53300\0Mtoo many\0\0';
    const server = createServer((socket) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(refusal.length + 4);
      socket.once('data', () =>
        socket.write(Buffer.concat([Buffer.from('E'), length, Buffer.from(refusal)])),
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ending = new AbortController();
    const refused = take(sourceAccess({ port, signal: ending.signal }));
    const [socket] = (await once(server, 'connection')) as [Socket];
    // It is the client that ends the connection, once it has been refused.
    await once(socket.resume(), 'close');
    await usedAndGivenBack(destinationAccess());
    expect(proxies.destination.connections).toBe(1);
    ending.abort();
    await expect(refused).rejects.toThrow();
    server.close();
  });

  test('does not hold the process up while it waits', async () => {
    const script = `
      import { KeptSessions } from ${JSON.stringify(built)};
      const sessions = new KeptSessions({ waitMs: 600_000 });
      await sessions.giveBack(await sessions.take(JSON.parse(process.env.ACCESS)));
      process.stdout.write('waits');`;
    const env = { ...process.env, ACCESS: JSON.stringify({ ...room.sourceAccess, tenantId: 'ten_one' }) };
    const node = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], { env });
    expect(node.stdout).toBe('waits');
  });

  test('is ended with the process that kept it, which keeps none from then on', async () => {
    await usedAndGivenBack(sourceAccess());
    const working = await take();
    await usedAndGivenBack(sourceAccess());
    await sessions.close();
    await sessions.giveBack(working);
    await untilNothingIsLeft(room.from);
  });
});

describe('a session goes to nobody else but the same tenant at an unchanged connection:', () => {
  test.each<[string, Partial<ConnectionAccess>]>([
    ['not to another tenant', { tenantId: 'ten_two' }],
    ['not to another connection with the same fields', { connectionId: 'con_other' }],
    ['not to another role', { databaseRole: 'other' }],
    ['not after a change of the host', { host: 'localhost' }],
    ['not after a change of the password', { password: 'changed' }],
    ['not after a change of the user', { user: 'nobody' }],
    ['not after a change of the database', { database: 'postgres' }],
    ['not after a change of TLS', { tls: { mode: 'require' } }],
  ])('%s', async (_, over) => {
    const pid = await usedAndGivenBack(sourceAccess());
    // A login that is refused is none that was saved.
    expect(await usedAndGivenBack(sourceAccess(over)).catch(() => 'refused')).not.toBe(pid);
    expect(await usedAndGivenBack(sourceAccess())).toBe(pid);
  });

  test('whoever connects for no tenant leaves none, and gets none', async () => {
    await usedAndGivenBack(room.sourceAccess);
    await untilNothingIsLeft(room.from);
  });
});

describe('a session that is lost while it waits is replaced without a word:', () => {
  beforeEach(() => {
    sessions = new KeptSessions({ ...never, cleanMs: 500 });
  });

  test.each<[string, (pids: unknown[]) => unknown]>([
    [
      'terminated',
      (pids) => room.from.query('select pg_terminate_backend(p) from unnest($1::int[]) as p', [pids]),
    ],
    ['reset', () => proxies.source.cut('reset')],
    ['closed', () => proxies.source.cut('end')],
    [
      'frozen, with the others there',
      () => proxies.source.intercept('toServer', (_, connection) => (connection <= 2 ? 'drop' : 'pass')),
    ],
  ])('%s', async (_, lose) => {
    const [one, other] = [await take(), await take()];
    const pids = [await pidOf(one), await pidOf(other)];
    await sessions.giveBack(one);
    await sessions.giveBack(other);
    await lose(pids);
    await expect(openSource().check()).resolves.toEqual({ version: expect.any(String) });
    await waitUntil('the end of the other, which would be no better', () => !proxies.source.isOpen(1));
  });
});

describe('nothing is kept', () => {
  test('of work that failed, at either end', async () => {
    const unknown = { run: newId('run'), load: newId('load'), partition: 1, epoch: '1' };
    const refused = { query: 'select 1 as id', key: ['nope'], cursor: null };
    await expect(openSource().probe(refused)).rejects.toThrow();
    const destination = openDestination();
    await expect(destination.takeLease(unknown)).rejects.toThrow();
    await destination.close();
    await Promise.all([untilNothingIsLeft(room.from), untilNothingIsLeft(room.to)]);
  });

  test('of a session that is in a transaction', async () => {
    const client = await take();
    await client.query('begin');
    await sessions.giveBack(client);
    await untilNothingIsLeft(room.from);
  });

  test('of work whose signal aborted, and a signal has no power over whoever comes later', async () => {
    const [early, late] = [new AbortController(), new AbortController()];
    const client = await take(sourceAccess({ signal: early.signal }));
    await sessions.giveBack(client);
    early.abort();
    const again = await take(sourceAccess({ signal: late.signal }));
    expect(again).toBe(client);
    expect(await pidOf(again)).toEqual(expect.any(Number));
    late.abort();
    await sessions.giveBack(again);
    await untilNothingIsLeft(room.from);
  });

  test('is not given to work whose signal has aborted before', async () => {
    await sessions.giveBack(await take());
    const signal = AbortSignal.abort(new Error('replaced'));
    await expect(take(sourceAccess({ signal }))).rejects.toThrow('replaced');
    expect(await statesAt(room.from)).toEqual(['idle']);
  });

  test('at the source of an attempt that was told to stop, not even what waited', async () => {
    const another = await take();
    const { run, load } = await step(prepared);
    await sessions.giveBack(another);
    expect(await statesAt(room.from)).toEqual(['idle', 'idle']);
    const drain = () => true;
    const stopped = await step((ends) => room.attempt(run, load, { ...ends, drain, limits: smallBatches }));
    expect(stopped).toMatchObject({ outcome: 'yielded' });
    await untilNothingIsLeft(room.from);
  });
});
