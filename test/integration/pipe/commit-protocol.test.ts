/**
 * P1, P2, P3: the commit protocol under faults, without Temporal. Each fault is placed, not timed: a writer is driven by
 * hand to the moment in question, or a proxy recognises the message to lose.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { defaultTimeouts } from '../../../src/destinations/postgres/destination-session.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import type { PartitionWriter } from '../../../src/ports/partition-writer.ts';
import { openCheckThenInsert } from '../../support/check-then-insert.ts';
import {
  createPipeRoom,
  nextEpoch,
  rowsAsText,
  type PipeRoom,
  type TestSync,
} from '../../support/pipe-room.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let proxy: TcpProxy;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text not null)');
  await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 1000) as i`);
  const { host, port } = room.destinationAccess;
  proxy = await startTcpProxy({ host, port });
});
afterAll(async () => {
  await proxy.close();
  await room.close();
});

const limits = { rows: 100, bytes: 1 << 20, timeMs: 60_000 };
const quick = { graceMs: 100 };

describe.each(['append', 'upsert', 'replace'] as const)('%s', (mode) => {
  let sync: TestSync;
  let run: RunId;
  let load: OpenLoad;
  beforeEach(async () => {
    await room.to.query('drop table if exists target');
    proxy.mend();
    sync = room.sync({ query: 'select * from numbers', key: ['id'], mode });
    run = newId('run');
    load = await room.prepare(sync, run);
  });

  const takeLease = (epoch = nextEpoch(), destination = room.openDestination({ timeouts: quick })) =>
    destination.takeLease({ run, load: load.loadId, partition: 1, epoch });

  /** Where batches put their rows. */
  const written = () => (mode === 'replace' ? `_penstock."${load.loadId}"` : 'target');

  /** Rows `from`..`to` of the source, as the plan's format. */
  const rows = async (from: number, to: number) => {
    const read = await room.source.read({
      ...load.plan,
      query: `select * from numbers where id between ${from} and ${to}`,
      after: null,
      bounds: {},
      window: load.window,
      rowTimeoutMs: 60_000,
      signal: new AbortController().signal,
    });
    const slice = (await read.next())!;
    const bytes = Buffer.from(slice.bytes);
    await read.close();
    return { bytes, rows: slice.rows, keyHi: [String(to)] };
  };

  /** Opens a batch and sends its rows, but does not commit. */
  const fill = async (writer: PartitionWriter, from: number, to: number) => {
    const { bytes, rows: count, keyHi } = await rows(from, to);
    await writer.begin();
    await writer.write(bytes);
    return () => writer.commit({ keyHi, rows: count, bytes: bytes.length, final: false });
  };

  const finishBy = async (runId: RunId) => {
    let outcome = 'yielded';
    while (outcome === 'yielded') ({ outcome } = await room.attempt(runId, load, { limits }));
    expect(outcome).toBe('finished');
    return room.destination.finish({ run: runId, load: load.loadId });
  };

  const expectEqual = async () => {
    const sent = await rowsAsText(room.from, 'select id, label from numbers');
    expect(await rowsAsText(room.to, 'select id, label from target')).toEqual(sent);
  };

  test('a crash between copy and commit loses no row and doubles none', async () => {
    const writer = await takeLease();
    await fill(writer, 1, 100);
    await writer.close();
    const { receipt } = await finishBy(run);
    expect(receipt).toMatchObject({ read: 1000, inserted: 1000, batches: 11 });
    await expectEqual();
  });

  test('a crash after a commit does no batch again', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await writer.close();
    const again = await room.attempt(run, load, { limits });
    expect(again).toMatchObject({ outcome: 'finished', rows: 900 });
    await room.destination.finish({ run, load: load.loadId });
    await expectEqual();
  });

  test('a replaced attempt that is still in a batch is ended, and its rows are not there', async () => {
    const zombie = await takeLease();
    const commit = await fill(zombie, 1, 100);
    const replacement = await takeLease();
    await expect(commit()).rejects.toMatchObject({
      code: expect.stringMatching(/COMMIT_UNKNOWN|DESTINATION_UNREACHABLE/),
    });
    await (
      await fill(replacement, 1, 100)
    )();
    await Promise.all([zombie.close(), replacement.close()]);
    await finishBy(run);
    await expectEqual();
  });

  test('a replaced attempt that wakes up later cannot begin a batch', async () => {
    const zombie = await takeLease();
    await (
      await fill(zombie, 1, 100)
    )();
    const replacement = await takeLease();
    await expect(zombie.begin()).rejects.toMatchObject({ code: 'FENCED' });
    await Promise.all([zombie.close(), replacement.close()]);
    await finishBy(run);
    await expectEqual();
  });

  test('an older epoch cannot take the lease back', async () => {
    const [older, newer] = [nextEpoch(), nextEpoch()];
    const writer = await takeLease(newer);
    await expect(takeLease(older)).rejects.toMatchObject({ code: 'FENCED' });
    await expect(takeLease(newer)).rejects.toMatchObject({ code: 'FENCED' });
    await writer.close();
  });

  test('nothing commits for a run that is final: not a batch in hand, not a new one, not a finish', async () => {
    const writer = await takeLease();
    const commit = await fill(writer, 1, 100);
    const outcome = await room.openDestination({ timeouts: quick }).closeRun(run);
    expect(outcome).toMatchObject({ succeeded: false, receipt: { read: 0 } });
    await expect(commit()).rejects.toThrow();
    await writer.close();
    await expect(takeLease()).rejects.toMatchObject({ code: 'RUN_FINAL' });
    await expect(room.destination.finish({ run, load: load.loadId })).rejects.toMatchObject({
      code: 'RUN_FINAL',
    });
    await expect(room.prepare(sync, run)).rejects.toMatchObject({ code: 'RUN_FINAL' });
    const attempt = await room.attempt(run, load, { limits });
    expect(attempt).toMatchObject({ outcome: 'fenced', rows: 0 });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual([]);
  });

  test('closing a run between two batches fences its writer', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await room.destination.closeRun(run);
    await expect(writer.begin()).rejects.toMatchObject({ code: 'FENCED' });
    await writer.close();
  });

  test('the next run finishes what a run left open, and executes its plan', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await writer.close();
    await room.destination.closeRun(run);
    const next = newId('run');
    const continued = await room.prepare(sync, next);
    expect(continued).toMatchObject({ loadId: load.loadId, continued: true, plan: load.plan });
    const { another } = await finishBy(next);
    // An append without a cursor has one window, everything: loading it once more would double it.
    expect(another).toBe(mode !== 'append');
    await expectEqual();
    const outcome = await room.destination.closeRun(next);
    expect(outcome).toMatchObject({ succeeded: mode === 'append', receipt: { read: 1000 } });
  });

  test('a COMMIT whose answer is lost is found committed, and not done again', async () => {
    let lost = false;
    const through = room.openDestination({ access: { host: '127.0.0.1', port: proxy.port } });
    const writer = await takeLease(nextEpoch(), through);
    const commit = await fill(writer, 1, 100);
    // The answer to "insert …; commit" ends with CommandComplete COMMIT.
    proxy.intercept('toClient', (chunk) => {
      lost ||= chunk.includes('COMMIT\0');
      return lost ? 'cut' : 'pass';
    });
    await expect(commit()).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' });
    expect(lost).toBe(true);
    proxy.mend();
    await writer.close();
    const again = await room.attempt(run, load, { limits });
    expect(again).toMatchObject({ outcome: 'finished', rows: 900 });
    await room.destination.finish({ run, load: load.loadId });
    await expectEqual();
  });

  test('a COMMIT that never arrived is found missing, and done again', async () => {
    const through = room.openDestination({ access: { host: '127.0.0.1', port: proxy.port } });
    const writer = await takeLease(nextEpoch(), through);
    const commit = await fill(writer, 1, 100);
    proxy.intercept('toServer', (chunk) => (chunk.includes('; commit') ? 'cut' : 'pass'));
    await expect(commit()).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' });
    proxy.mend();
    await writer.close();
    const again = await room.attempt(run, load, { limits });
    expect(again).toMatchObject({ outcome: 'finished', rows: 1000 });
    await room.destination.finish({ run, load: load.loadId });
    await expectEqual();
  });

  test('a COMMIT that is swallowed ends the attempt after the answer’s deadline, and the orphan is replaced', async () => {
    const timeouts = { ...defaultTimeouts };
    const access = { ...room.destinationAccess, host: '127.0.0.1', port: proxy.port };
    const writer = await takeLease(nextEpoch(), openPostgresDestination(access, { timeouts }));
    const commit = await fill(writer, 1, 100);
    // From here on only the COMMIT asks for one.
    timeouts.answerMs = 200;
    proxy.intercept('toServer', (chunk) => {
      if (chunk.includes('; commit')) proxy.swallow('toServer');
      return chunk.includes('; commit') ? 'drop' : 'pass';
    });
    await expect(commit()).rejects.toMatchObject({ code: 'COMMIT_UNKNOWN' });
    // The server still holds the orphan's transaction open: the proxy has told it nothing.
    const replacement = await takeLease();
    expect(replacement.checkpoint).toBeNull();
    await Promise.all([writer.close(), replacement.close()]);
    await finishBy(run);
    await expectEqual();
  });

  test('a checkpoint that is not the one the writer knows fences it: a destination that lost its tail', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await room.to.query('delete from _penstock.checkpoint where load = $1', [load.loadId]);
    await room.to.query(`delete from ${written()}`);
    await expect(writer.begin()).rejects.toMatchObject({ code: 'FENCED' });
    await writer.close();
    await finishBy(run);
    await expectEqual();
  });

  test('a target that was replaced during the load is noticed, and gets no row', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await room.to.query('alter table target rename to target_before');
    await room.to.query('create table target (id integer primary key, label text)');
    const commit = await fill(writer, 101, 200);
    await expect(commit()).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
    await writer.close();
    expect(await rowsAsText(room.to, 'select * from target')).toEqual([]);
    await room.to.query('drop table target_before');
  });

  test('a load that is not complete cannot be finished', async () => {
    const writer = await takeLease();
    await (
      await fill(writer, 1, 100)
    )();
    await writer.close();
    const finish = room.destination.finish({ run, load: load.loadId });
    await expect(finish).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
  });

  test.each([
    ['a batch is missing', 'delete from _penstock.checkpoint where load = $1 and batch = 2'],
    [
      'a batch does not join the one before',
      `update _penstock.checkpoint set key_lo = '{5}' where load = $1 and batch = 3`,
    ],
    ['the last batch is not final', 'update _penstock.checkpoint set final = false where load = $1'],
  ])('a load is not finished when %s', async (_, damage) => {
    await room.attempt(run, load, { limits });
    await room.to.query(damage, [load.loadId]);
    const finish = room.destination.finish({ run, load: load.loadId });
    await expect(finish).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
  });

  test('finishing twice gives the stored receipt; so does another run’s finish', async () => {
    const first = await finishBy(run);
    expect(first.receipt).toMatchObject({ read: 1000, inserted: 1000 });
    const again = await room.destination.finish({ run, load: load.loadId });
    expect(again).toEqual(first);
    expect(await room.prepare(sync, run)).toMatchObject({ loadId: load.loadId, phase: 'done' });
    expect(await room.destination.closeRun(run)).toMatchObject({ succeeded: true, receipt: first.receipt });
    expect(await room.destination.closeRun(run)).toMatchObject({ succeeded: true, receipt: first.receipt });
  });

  test('a load that the destination does not know is lost, and prepared again', async () => {
    if (mode === 'replace') await room.to.query(`drop table ${written()}`);
    await room.to.query('truncate _penstock.load cascade');
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'lost' });
    load = await room.prepare(sync, run);
    await finishBy(run);
    await expectEqual();
  });

  test('the backend of the destination is terminated in every batch: each attempt keeps what it committed', async () => {
    const killedAt = new Set<number>([0]);
    let killed: Promise<unknown> = Promise.resolve();
    let attempts = 0;
    let outcome = 'yielded';
    while (outcome !== 'finished') {
      attempts++;
      const result = await room
        .attempt(run, load, {
          limits,
          onProgress: ({ batches }) => {
            if (batches % 3 === 0 && !killedAt.has(batches)) {
              killedAt.add(batches);
              killed = room.to.query(
                `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'penstock%' and datname = current_database()`,
              );
            }
          },
        })
        .catch(() => ({ outcome: 'yielded' }));
      ({ outcome } = result);
      await killed;
      expect(attempts).toBeLessThan(20);
    }
    // Its idle connection may have been among those that were terminated last.
    const other = room.openDestination();
    await other.finish({ run, load: load.loadId });
    await other.close();
    await expectEqual();
  });

  test('the backend of the source is terminated in mid-read: the next attempt goes on after the checkpoint', async () => {
    // More than is read ahead, so that the source is in the middle of it while the target is held up.
    const wide = `select *, repeat('x', 30000) as filler from numbers`;
    await room.destination.acceptLoad(sync.id);
    await room.to.query('drop table target');
    load = await room.prepare({ ...sync, spec: room.sync({ query: wide, key: ['id'], mode }).spec }, run);
    await room.to.query(`create or replace function wait_here() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock_shared(23); return new; end $$`);
    await room.to.query(
      `create trigger gate before insert on ${written()} for each row when (new.id = 50) execute function wait_here()`,
    );
    await room.to.query('select pg_advisory_lock(23)');
    const attempt = room.attempt(run, load, { limits: { ...limits, rows: 10 } });
    await waitUntil('the target is held up', async () => {
      const held = await room.to.query(`select from pg_locks where locktype = 'advisory' and not granted`);
      return held.rowCount! > 0;
    });
    await room.from.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'penstock' and datname = current_database()`,
    );
    await room.to.query('select pg_advisory_unlock(23)');
    expect(await attempt).toMatchObject({
      outcome: 'yielded',
      error: { code: expect.stringMatching(/^SOURCE_/) },
    });
    await room.to.query(`drop trigger gate on ${written()}`);
    await finishBy(run);
    await expectEqual();
  });

  test('a drained attempt commits the batch in hand and yields; the next one goes on', async () => {
    let batches = 0;
    const drained = await room.attempt(run, load, {
      limits,
      onProgress: () => void batches++,
      drain: () => batches >= 2,
    });
    expect(drained).toMatchObject({ outcome: 'yielded' });
    expect(drained.error).toBeUndefined();
    await finishBy(run);
    await expectEqual();
  });

  test('a cancelled attempt throws the signal’s reason and leaves nothing open', async () => {
    const cancel = new AbortController();
    const reason = new Error('cancelled');
    const attempt = room.attempt(run, load, {
      limits,
      signal: cancel.signal,
      onProgress: ({ batches }) => {
        if (batches === 2) cancel.abort(reason);
      },
    });
    await expect(attempt).rejects.toBe(reason);
    await waitUntil('the transactions are gone', async () => {
      const open = await room.to.query(
        `select from pg_stat_activity where application_name like 'penstock:%' and datname = current_database()`,
      );
      return open.rowCount === 0;
    });
    await finishBy(run);
    await expectEqual();
  });
});

describe('the fence bites', () => {
  test('the same zombie, under a protocol that checks and then inserts, doubles rows', async () => {
    await room.to.query('drop table if exists target');
    const run = newId('run');
    const load = await room.prepare(room.sync({ query: 'select * from numbers', key: ['id'] }), run);
    const naive = await openCheckThenInsert(room.to, room.destinationAccess, load.loadId);
    const zombie = await naive.begin();
    const replacement = await naive.begin();
    await replacement.insertAndCommit('select i, $$row $$ || i from generate_series(1, 100) as i');
    await zombie.insertAndCommit('select i, $$row $$ || i from generate_series(1, 100) as i');
    const { rows } = await room.to.query(
      'select count(*)::int as rows, count(distinct id)::int as ids from target',
    );
    expect(rows).toEqual([{ rows: 200, ids: 100 }]);
    await naive.close();
  });
});
