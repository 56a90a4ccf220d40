/** P1, P2: where rows are at hand the next batch begins in the round trip of the commit before, and what may go wrong then. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import type { PartitionWriter } from '../../../src/ports/partition-writer.ts';
import { createPipeRoom, nextEpoch, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let proxy: TcpProxy;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key)');
  await room.from.query(`insert into numbers select i from generate_series(1, 500) as i`);
  const { host, port } = room.destinationAccess;
  proxy = await startTcpProxy({ host, port });
});
afterAll(async () => {
  await proxy.close();
  await room.close();
});

let run: RunId;
let load: OpenLoad;
let writer: PartitionWriter;
/** Connections that were there before the writer. */
let before: number;
beforeEach(async () => {
  proxy.mend();
  await room.to.query('drop table if exists target');
  run = newId('run');
  load = await room.prepare(room.sync({ query: 'select * from numbers', key: ['id'] }), run);
  const through = room.openDestination({
    access: { host: '127.0.0.1', port: proxy.port },
    // It never logs in a second time to see what blocks it.
    timeouts: { lockMs: 300, graceMs: 600_000 },
  });
  before = proxy.connections;
  writer = await through.takeLease({ run, load: load.loadId, partition: 1, epoch: nextEpoch() });
});

afterEach(() => writer.close());

/** Rows `from`..`to` of the source in COPY binary: two bytes of field count, four of length, four of value. */
const rows = (from: number, to: number): Buffer =>
  Buffer.concat(
    Array.from({ length: to - from + 1 }, (_, i) => {
      const row = Buffer.from([0, 1, 0, 0, 0, 4, 0, 0, 0, 0]);
      row.writeInt32BE(from + i, 6);
      return row;
    }),
  );

/** Sends a batch; commits it when called, with the next. */
const fill = async (from: number, to: number) => {
  await writer.begin();
  const bytes = rows(from, to);
  await writer.write(bytes);
  return () =>
    writer.commit({
      keyHi: [String(to)],
      rows: to - from + 1,
      bytes: bytes.length,
      final: false,
      goesOn: true,
    });
};

/** Another attempt copies the rest: so many rows. */
const expectLeft = async (left: number) => {
  proxy.mend();
  await writer.close();
  expect(await room.attempt(run, load)).toMatchObject({ outcome: 'finished', rows: left });
  const { receipt } = await room.destination.finish({ run, load: load.loadId });
  expect(receipt).toMatchObject({ read: 500, inserted: 500 });
  const sent = await rowsAsText(room.from, 'select id from numbers');
  expect(await rowsAsText(room.to, 'select id from target')).toEqual(sent);
};

test('a batch goes over the connection that took the lease', async () => {
  await (
    await fill(1, 10)
  )();
  expect(proxy.connections - before).toBe(1);
});

test('the commit leaves the server waiting for rows; when none come, it leaves nothing', async () => {
  expect(load.plan.format).toBe('binary');
  const begins = new Set<string>();
  proxy.intercept('toServer', (chunk) => {
    if (chunk.includes('begin isolation')) begins.add(chunk.includes('; commit') ? 'with a commit' : 'alone');
    return 'pass';
  });
  for (const from of [1, 101, 201]) {
    const commit = await fill(from, from + 99);
    await commit();
  }
  expect([...begins]).toEqual(['alone', 'with a commit']);
  await waitUntil('the server waits for rows', async () => {
    const sql = `select from pg_stat_activity where application_name = $1 and state = 'active' and wait_event = 'ClientRead'`;
    return (await room.to.query(sql, [`penstock:${load.loadId}:1`])).rowCount === 1;
  });
  await expectLeft(200);
});

test('after ten batches the connection is without a transaction for once, so that a pooler may lend it to others', async () => {
  const states: string[] = [];
  for (let from = 1; from <= 231; from += 10) {
    const commit = await fill(from, from + 9);
    await commit();
    const sql = `select from pg_stat_activity where application_name = $1`;
    const open = await room.to.query(sql, [`penstock:${load.loadId}:1`]);
    states.push(open.rowCount === 0 ? '_' : 'x');
  }
  expect(states.join('')).toBe('xxxxxxxxx_xxxxxxxxx_xxxx');
  await expectLeft(260);
});

test('a batch counts as committed although the next cannot begin', async () => {
  const commit = await fill(1, 100);
  const locker = new Client(room.destinationAccess);
  await locker.connect();
  const locked = locker.query('begin; lock table target in access exclusive mode');
  await waitUntil('the locker waits for the batch', async () => {
    const sql = `select from pg_locks where relation = 'target'::regclass and not granted`;
    return (await room.to.query(sql)).rowCount === 1;
  });
  await commit();
  await locked;
  expect(writer.totals).toMatchObject({ rows: 100, batches: 1 });
  await expect(writer.begin()).rejects.toMatchObject({ code: 'TARGET_LOCKED' });
  await locker.end();
  await expectLeft(400);
});

test('a batch that began with a commit is ended by the attempt that replaces this one', async () => {
  const commit = await fill(1, 100);
  await commit();
  const quick = room.openDestination({ timeouts: { graceMs: 100 } });
  const lease = { run, load: load.loadId, partition: 1, epoch: nextEpoch() };
  const replacement = await quick.takeLease(lease);
  expect(replacement.checkpoint).toMatchObject({ batch: 1, keyHi: ['100'] });
  await replacement.close();
  await expect(fill(101, 200).then((again) => again())).rejects.toThrow();
  await expectLeft(400);
});

test('who was replaced before it could begin is told so, although the target is gone as well', async () => {
  const commit = await fill(1, 100);
  await commit();
  await writer.rollback();
  const lease = { run, load: load.loadId, partition: 1, epoch: nextEpoch() };
  await (await room.destination.takeLease(lease)).close();
  await room.to.query('alter table target rename to away');
  await expect(writer.begin()).rejects.toMatchObject({ code: 'FENCED' });
  await room.to.query('alter table away rename to target');
  await expectLeft(400);
});

test.each([
  ['whose answer is lost', 'toClient', 'COMMIT\0', 400],
  ['that never arrived', 'toServer', '; commit', 500],
] as const)('a COMMIT %s is unknown, and the next attempt finds out', async (_, direction, mark, left) => {
  const commit = await fill(1, 100);
  let isCut = false;
  proxy.intercept(direction, (chunk) => {
    isCut ||= chunk.includes(mark);
    return isCut ? 'cut' : 'pass';
  });
  await expect(commit()).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' });
  await expectLeft(left);
});

test('for a writer that was replaced the server opens no COPY, which nobody would end', async () => {
  await room.to.query(
    `create sequence copies;
     create function note_copy() returns trigger language plpgsql as
       $$ begin perform nextval('copies'); return null; end $$;
     create trigger noted before insert on target execute function note_copy()`,
  );
  const replacement = await room.destination.takeLease({
    run,
    load: load.loadId,
    partition: 1,
    epoch: nextEpoch(),
  });
  await expect(writer.begin()).rejects.toMatchObject({ code: 'FENCED' });
  await writer.rollback();
  expect((await room.to.query('select is_called from copies')).rows).toEqual([{ is_called: false }]);
  await replacement.begin();
  await waitUntil('the replacement copies', async () => {
    const { rows } = await room.to.query<{ is_called: boolean }>('select is_called from copies');
    return rows[0]!.is_called;
  });
  await replacement.close();
});
