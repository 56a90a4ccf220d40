/**
 * Races around a load that the exploration of the protocol found (test/model): each is placed by holding a lock or
 * leaving a batch in hand, so that the other side waits at exactly the statement in question.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { finishRun } from '../../../src/copy/finish-run.ts';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import { createPipeRoom, nextEpoch, urlOf, type PipeRoom, type TestSync } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let sync: TestSync;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text not null)');
  await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 100) as i`);
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
  sync = room.sync({ query: 'select * from numbers', key: ['id'] });
  run = newId('run');
  load = await room.prepare(sync, run);
});

/** Waits for a lock long enough for the test to let it go. */
const patient = () => room.openDestination({ timeouts: { graceMs: 60_000, lockMs: 60_000 } });
/** The same, but it ends soon whoever is in its way. */
const ending = () => room.openDestination({ timeouts: { graceMs: 50, lockMs: 60_000 } });

/** The statement that waits for a lock begins like that. */
const untilWaiting = (sql: string) =>
  waitUntil(`${sql} waits`, async () => {
    // Asked elsewhere: inside a transaction the view would show what it showed first.
    const waiting = await room.from.query(
      `select from pg_stat_activity where wait_event_type = 'Lock' and query like $1 and datname = $2`,
      [`${sql}%`, room.destinationAccess.database],
    );
    return waiting.rowCount! > 0;
  });

/** Everything is read and committed; only the finish is missing. */
const copyAll = async () => {
  expect(await room.attempt(run, load)).toMatchObject({ outcome: 'finished', rows: 100 });
};

describe('a load', () => {
  test('that another run has finished is no success of the one that slept through it, and no failure', async () => {
    await copyAll();
    await room.destination.closeRun(run);
    await room.run(sync);
    expect(await finishRun(room.destination, { run, load: load.loadId })).toEqual({ outcome: 'stale' });
    await expect(room.prepare(sync, run)).rejects.toMatchObject({ code: 'RUN_FINAL' });
  });

  test('becomes done in the transaction in which its run becomes final', async () => {
    await copyAll();
    const { outcome } = await finishRun(room.destination, { run, load: load.loadId });
    expect(outcome).toBe('succeeded');
    const { rows } = await room.to.query(
      `select l.phase, r.final, l.xmin = r.xmin as together
         from _penstock.load l join _penstock.run r on r.id = l.finished_by where l.id = $1`,
      [load.loadId],
    );
    expect(rows).toEqual([{ phase: 'done', final: true, together: true }]);
  });

  test('is finished by two at once, who end its run both', async () => {
    await copyAll();
    await room.to.query('begin');
    await room.to.query('select from _penstock.load where id = $1 for update', [load.loadId]);
    const ends = [patient(), patient()].map((end) => finishRun(end, { run, load: load.loadId }));
    await waitUntil('both wait', async () => {
      const { rows } = await room.from.query<{ waiting: number }>(
        `select count(*)::int as waiting from pg_stat_activity where wait_event_type = 'Lock' and datname = $1`,
        [room.destinationAccess.database],
      );
      return rows[0]!.waiting === 2;
    });
    await room.to.query('commit');
    const [one, other] = await Promise.all(ends);
    expect(one).toMatchObject({ outcome: 'succeeded', receipt: { read: 100 }, loads: [load.loadId] });
    expect(other).toEqual(one);
  });

  test('is not abandoned as empty while its first batch is being committed', async () => {
    const writer = await room.destination.takeLease({
      run,
      load: load.loadId,
      partition: 1,
      epoch: nextEpoch(),
    });
    await writer.begin();
    // The source's columns have changed meanwhile, so that a later preparation has another plan.
    const plan = { ...load.plan, columns: load.plan.columns.slice(0, 1) };
    const found = patient().findLoad({ run, sync: sync.id, plan });
    const refused = expect(found).rejects.toMatchObject({ code: 'UNFINISHED_LOAD' });
    await untilWaiting('update _penstock.lease');
    await writer.commit({ keyHi: ['0'], rows: 0, bytes: 0, final: false });
    await refused;
    await writer.close();
    expect(await room.destination.unfinishedLoad(sync.id)).toMatchObject({
      loadId: load.loadId,
      committed: { batches: 1 },
    });
  });

  test('is not finished when its table was replaced after the last batch', async () => {
    await copyAll();
    await room.to.query('drop table target');
    await room.to.query('create table target (id integer primary key, label text)');
    const finish = room.destination.finish({ run, load: load.loadId });
    await expect(finish).rejects.toMatchObject({ code: 'TARGET_CHANGED' });
  });

  describe('whose rows were planned as binary, for a column that has another type by now,', () => {
    beforeEach(() => expect(load.plan.format).toBe('binary'));

    test('is not opened but planned anew', async () => {
      const other = room.sync({ query: 'select * from numbers', key: ['id'] });
      await room.to.query('alter table target alter id type numeric');
      const { plan, window } = load;
      const opened = room.destination.openLoad({
        run: newId('run'),
        sync: other.id,
        plan,
        window,
        partitions: [{}],
      });
      await expect(opened).rejects.toMatchObject({ code: 'CURSOR_MOVED' });
      expect((await room.prepare(other, newId('run'))).plan.format).toBe('text');
    });

    test('is not gone on with but planned anew', async () => {
      await room.to.query('alter table target alter id type numeric');
      const found = room.destination.findLoad({ run, sync: sync.id, plan: load.plan });
      await expect(found).rejects.toMatchObject({ code: 'CURSOR_MOVED' });
      expect((await room.prepare(sync, run)).plan.format).toBe('text');
    });
  });

  test('is finished although another preparation waits to open one, which then is refused', async () => {
    sync = room.sync({ query: 'select * from numbers', key: ['id'], cursor: { column: 'id' } });
    load = await room.prepare(sync, run);
    await copyAll();
    await room.to.query('begin');
    await room.to.query('select from _penstock.cursor where sync = $1 for update', [sync.id]);
    const { plan, window } = load;
    const opened = patient().openLoad({ run, sync: sync.id, plan, window, partitions: [{}] });
    const refused = expect(opened).rejects.toMatchObject({ code: 'CURSOR_MOVED' });
    await untilWaiting('insert into _penstock.cursor');
    const finished = patient().finish({ run, load: load.loadId });
    await untilWaiting('update _penstock.cursor');
    await room.to.query('commit');
    await refused;
    expect(await finished).toMatchObject({ receipt: { read: 100 } });
  });

  test('is published by its next run, though an attempt before it still judges why it was refused', async () => {
    sync = room.sync({ query: 'select * from numbers limit 1000', key: [] });
    load = await room.prepare(sync, run);
    await copyAll();
    await room.to.query('create unique index one_label on target ((1))');
    const other = new Client({ connectionString: urlOf(room.destinationAccess) });
    await other.connect();
    try {
      await room.to.query('begin; lock table target');
      const zombie = ending().finish({ run, load: load.loadId });
      const judged = expect(zombie).rejects.toMatchObject({ code: 'DESTINATION_BUSY' });
      await untilWaiting('insert into "public"."target"');
      await other.query('begin');
      const held = other.query('select from _penstock.run where id = $1 for update', [run]);
      await untilWaiting('select from _penstock.run');
      await room.to.query('commit');
      await held;
      await untilWaiting('select final from _penstock.run');
      await room.to.query('drop index one_label; begin; lock table target');
      const published = patient().finish({ run: newId('run'), load: load.loadId });
      await untilWaiting('insert into "public"."target"');
      await other.query('commit');
      await judged;
      await room.to.query('commit');
      expect(await published).toMatchObject({ receipt: { inserted: 100 } });
    } finally {
      await other.end();
    }
  });

  test('is published to the end, though an attempt before it asks for its lease meanwhile', async () => {
    sync = room.sync({ query: 'select * from numbers limit 1000', key: [] });
    load = await room.prepare(sync, run);
    await copyAll();
    await room.to.query('begin; lock table target');
    const published = finishRun(patient(), { run, load: load.loadId });
    const succeeded = expect(published).resolves.toMatchObject({
      outcome: 'succeeded',
      receipt: { inserted: 100 },
    });
    await untilWaiting('insert into "public"."target"');
    const late = ending();
    const taken = late.takeLease({ run, load: load.loadId, partition: 1, epoch: '0' });
    await expect(taken).rejects.toMatchObject({ code: 'FENCED' });
    await room.to.query('commit');
    await succeeded;
    await late.close();
  });

  describe('that is opened while its sync is reset', () => {
    beforeEach(async () => {
      await room.to.query('drop table if exists again');
      const cursor = { column: 'id' };
      sync = room.sync({ query: 'select * from numbers', key: ['id'], cursor, table: 'again' });
      await room.run(sync);
      load = await room.prepare(sync, run);
      await room.destination.acceptLoad(sync.id);
      expect(load.window.low).toBe('100');
    });
    const open = () =>
      patient().openLoad({ run, sync: sync.id, plan: load.plan, window: load.window, partitions: [{}] });

    const expectAllIsReadAgain = async () => {
      expect(await room.destination.unfinishedLoad(sync.id)).toBeNull();
      expect(await room.run(sync)).toMatchObject({ read: 100 });
    };

    test('is abandoned when it came first: it began at a cursor that is gone', async () => {
      await room.to.query('begin; lock table _penstock.partition in share mode');
      const opened = open();
      await untilWaiting('insert into _penstock.partition');
      const reset = patient().resetSync(sync.id, { deleteRows: false });
      await untilWaiting('delete from _penstock.cursor');
      await room.to.query('commit');
      expect(await opened).toMatchObject({ window: { low: '100' } });
      await reset;
      await expectAllIsReadAgain();
    });

    test('is refused when the reset came first', async () => {
      await room.to.query('begin; lock table again in access share mode');
      const reset = patient().resetSync(sync.id, { deleteRows: true });
      await untilWaiting('truncate');
      const refused = expect(open()).rejects.toMatchObject({ code: 'CURSOR_MOVED' });
      await untilWaiting('insert into _penstock.cursor');
      await room.to.query('commit');
      await Promise.all([reset, refused]);
      await expectAllIsReadAgain();
    });
  });
});
