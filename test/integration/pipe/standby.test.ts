/** A hot standby as source: what is in progress on its primary cannot be seen there, so young values wait. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId } from '../../../src/domain/ids.ts';
import type { Source } from '../../../src/ports/source.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { accessOf, createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { startStandbyPair, type StandbyPair } from '../../support/standby-pair.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let pair: StandbyPair;
let primary: Client;
let standby: Client;
let source: Source;

const connect = async (url: string): Promise<Client> => {
  const client = new Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  return client;
};

beforeAll(async () => {
  room = await createPipeRoom();
  pair = await startStandbyPair({
    // Keepalives every half second: they carry the primary's clock. Nothing commits there but what a test does.
    primary: { wal_sender_timeout: '1s', autovacuum: 'off' },
    standby: { max_standby_streaming_delay: '0' },
  });
  [primary, standby] = [await connect(pair.primary.url), await connect(pair.standby.url)];
  source = openPostgresSource(accessOf(pair.standby.url), room.memory);
}, 60_000);
afterAll(async () => {
  await source.close();
  await Promise.all([primary.end(), standby.end()]);
  await pair.close();
  await room.close();
}, 60_000);

describe('a cursor of time', () => {
  test('a transaction that commits late, with a lower value, is not passed over', async () => {
    await primary.query('create table events (id integer primary key, at timestamptz not null)');
    await primary.query(`insert into events values (1, now() - interval '2 hours')`);
    const late = await connect(pair.primary.url);
    await late.query('begin; insert into events values (2, now())');
    await primary.query('insert into events values (3, clock_timestamp())');
    await pair.replayed();
    const patient = (lag: string) =>
      room.sync({ query: 'select * from events', key: ['id'], cursor: { column: 'at', lag } });
    const sync = patient('1h');
    expect(await room.run(sync, { source })).toMatchObject({ read: 1 });
    await late.query('commit');
    await late.end();
    await pair.replayed();
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
    await pair.replayed();
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
  await pair.replayed();
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

test('what recovery cancels on the standby is read on after the last committed row', async () => {
  await primary.query(
    `create table wide as select i as id, repeat(md5(i::text), 300) as filler from generate_series(1, 3000) i;
     alter table wide add primary key (id); create table other as select i from generate_series(1, 100) i`,
  );
  await pair.replayed();
  await room.to.query(
    `create table wide (id integer primary key, filler text);
     create function wait_here() returns trigger language plpgsql
       as 'begin perform pg_advisory_xact_lock_shared(29); return new; end';
     create trigger gate before insert on wide for each row when (new.id = 350) execute function wait_here();
     select pg_advisory_lock(29)`,
  );
  const run = newId('run');
  const query = 'select * from wide';
  const load = await room.prepare(room.sync({ query, key: ['id'], table: 'wide' }), run, { source });
  const limits = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };
  const attempt = room.attempt(run, load, { source, limits });
  await waitUntil('a batch that is held up', async () => {
    const sql = `select from pg_stat_activity where wait_event = 'advisory' and application_name like 'penstock:%'`;
    return (await room.to.query(sql)).rowCount === 1;
  });
  // Rows that the reader's snapshot still sees, of whatever table: their removal cannot be replayed while it reads.
  await primary.query('delete from other');
  await primary.query('vacuum other');
  const removed = await primary.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
  await waitUntil('the standby has heard of the removal', async () => {
    const sql = 'select pg_last_wal_receive_lsn() >= $1::pg_lsn as is';
    return (await standby.query<{ is: boolean }>(sql, [removed.rows[0]!.lsn])).rows[0]!.is;
  });
  await room.to.query('select pg_advisory_unlock(29)');
  const { error, ...ended } = await attempt;
  expect(ended).toMatchObject({ outcome: 'yielded' });
  expect(error).toMatchObject({
    code: 'SOURCE_INTERRUPTED',
    message: expect.stringContaining('conflict with recovery'),
  });
  const again = await room.attempt(run, load, { source, limits });
  expect(again).toMatchObject({ outcome: 'finished', rows: 3000 - ended.rows });
  const { receipt } = await room.destination.finish({ run, load: load.loadId });
  expect(receipt).toMatchObject({ read: 3000, inserted: 3000 });
  expect(await rowsAsText(room.to, query)).toEqual(await rowsAsText(primary, query));
});
