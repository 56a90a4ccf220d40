/** Mirror: the target becomes what the source is, deletes included, and never more than that. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import type { Destination, OpenLoad } from '../../../src/ports/destination.ts';
import { createMirrorRoom, type MirrorRoom } from '../../support/mirror-room.ts';
import { nextEpoch, rowsAsText, type TestSync } from '../../support/pipe-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: MirrorRoom;
beforeAll(async () => {
  room = await createMirrorRoom();
});
afterAll(() => room.close());
beforeEach(() => room.renew());

const tablesLeft = async () =>
  (
    await room.to.query(
      `select relname from pg_class where relnamespace = '_penstock'::regnamespace and relkind = 'r' and relname like '%lod%'`,
    )
  ).rows;

/** Prepares and copies a load, and leaves it to be finished. */
async function copied(sync: TestSync, run: RunId = newId('run')): Promise<{ run: RunId; load: OpenLoad }> {
  const load = await room.prepare(sync, run);
  await room.attempt(run, load, { limits: { rows: 30, bytes: 1 << 20, timeMs: 60_000 } });
  return { run, load };
}

/** Finishes, and dies before the transaction after `steps` of them. */
const finish = (
  { run, load }: { run: RunId; load: OpenLoad },
  { steps = Infinity, destination = room.destination }: { steps?: number; destination?: Destination } = {},
) => {
  let left = steps;
  const signal = {
    throwIfAborted: () => {
      if (left-- === 0) throw new Error('killed');
    },
  } as AbortSignal;
  const limits = { chunkRows: 3, maxDeletePercent: 20 };
  return destination.finish({ run, load: load.loadId, limits, signal });
};

test('rows that are gone from the result are deleted, and counted apart', async () => {
  const sync = room.mirroring();
  expect(await room.run(sync)).toMatchObject({ read: 100, inserted: 100, deleted: 0 });
  await room.remove('id % 10 = 0');
  await room.from.query(`update people set name = 'changed' where id = 1`);
  await room.fill(101, 105);
  expect(await room.run(sync)).toMatchObject({
    read: 95,
    inserted: 5,
    updated: 1,
    unchanged: 89,
    deleted: 10,
  });
  await room.expectEqual();
  expect(await tablesLeft()).toEqual([]);
});

describe('the guard', () => {
  test('a source that returns nothing deletes nothing: the error says how many it would have been, and the next run goes on', async () => {
    const sync = room.mirroring();
    await room.run(sync);
    await room.from.query('alter table people rename to hidden');
    await room.from.query('create table people (like hidden including all)');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'TOO_MANY_DELETES',
      message: expect.stringContaining('100 of 100 rows'),
      meta: { wouldDelete: 100, of: 100, maxDeletePercent: 20 },
    });
    expect((await room.to.query('select from target')).rowCount).toBe(100);
    expect(await tablesLeft()).toEqual([]);
    await room.from.query('drop table people; alter table hidden rename to people');
    await room.remove('id = 7');
    expect(await room.run(sync)).toMatchObject({ unchanged: 99, deleted: 1 });
    await room.expectEqual();
  });

  test('rows that came with the same load do not make room for more deletes', async () => {
    const sync = room.mirroring();
    await room.run(sync);
    await room.from.query('update people set id = id + 1000');
    await expect(room.run(sync)).rejects.toMatchObject({
      code: 'TOO_MANY_DELETES',
      meta: { wouldDelete: 100, of: 100 },
    });
  });

  test.each([
    [20, 20, true],
    [21, 20, false],
    [100, 100, true],
    [1, 0, false],
  ])('of 100 rows %i go where %i percent may: %s', async (gone, maxDeletePercent, may) => {
    await room.run(room.mirroring({ table: 'target' }));
    await room.to.query('delete from _penstock.target');
    const sync = room.mirroring({ limits: { maxDeletePercent } });
    await room.remove(`id <= ${gone}`);
    const outcome = await room.run(sync).then(
      ({ deleted }) => deleted,
      (error: { code: string }) => error.code,
    );
    expect(outcome).toBe(may ? gone : 'TOO_MANY_DELETES');
  });

  test('what an earlier run read is no reason for the next to fail: that one reads for itself', async () => {
    const sync = room.mirroring();
    await room.run(sync);
    await room.from.query('create table kept as select * from people');
    await room.remove('true');
    const { run } = await copied(sync);
    await room.destination.closeRun(run);
    await room.from.query('insert into people select * from kept; drop table kept');
    const next = newId('run');
    const continued = await room.prepare(sync, next);
    expect(continued.continued).toBe(true);
    await room.attempt(next, continued);
    await expect(finish({ run: next, load: continued })).rejects.toMatchObject({ code: 'FENCED' });
    await finish(await copied(sync, next));
    await room.expectEqual();
  });
});

describe('finishing in steps', () => {
  let sync: TestSync;
  beforeEach(async () => {
    sync = room.mirroring();
    await room.run(sync);
    await room.remove('id % 9 = 0');
  });

  test.each([0, 1, 2, 3, 4])('killed after %i of them, it goes on and ends once', async (steps) => {
    const work = await copied(sync);
    await expect(finish(work, { steps })).rejects.toThrow('killed');
    const gone = 100 - (await room.to.query('select from target')).rowCount!;
    expect(gone).toBe(Math.min(Math.max(steps - 1, 0) * 3, 11));
    const { receipt } = await finish(work);
    expect(receipt).toMatchObject({ read: 89, unchanged: 89, deleted: 11 });
    expect((await finish(work)).receipt).toEqual(receipt);
    await room.expectEqual();
    expect(await tablesLeft()).toEqual([]);
  });

  test('a run that dies in the middle is finished by the next, which then reads for itself', async () => {
    const { run, load } = await copied(sync);
    await expect(finish({ run, load }, { steps: 2 })).rejects.toThrow('killed');
    await room.destination.closeRun(run);
    await room.fill(200, 210);
    expect(await room.run(sync)).toMatchObject({ read: 89 + 100, inserted: 11, deleted: 11 });
    await room.expectEqual();
  });

  test('a finisher that thaws after its run was made final deletes nothing more', async () => {
    const work = await copied(sync);
    await expect(finish(work, { steps: 2 })).rejects.toThrow('killed');
    await room.destination.closeRun(work.run);
    const before = await rowsAsText(room.to, 'select * from target');
    await expect(finish(work)).rejects.toMatchObject({ code: 'RUN_FINAL' });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(before);
    await room.run(sync);
    await room.expectEqual();
  });

  test('a finisher that thaws after its load was abandoned deletes nothing more', async () => {
    const work = await copied(sync);
    await expect(finish(work, { steps: 2 })).rejects.toThrow('killed');
    await room.destination.resetSync(sync.id, { deleteRows: false });
    expect(await tablesLeft()).toEqual([]);
    const before = await rowsAsText(room.to, 'select * from target');
    await expect(finish(work)).rejects.toMatchObject({ code: 'FENCED' });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(before);
  });

  test('two finishers at once delete each row once', async () => {
    const work = await copied(sync);
    const others = [room.openDestination(), room.openDestination()];
    const receipts = await Promise.all(others.map((destination) => finish(work, { destination })));
    await Promise.all(others.map((destination) => destination.close()));
    expect(receipts.map(({ receipt }) => receipt.deleted)).toEqual([11, 11]);
    await room.expectEqual();
  });

  test('a writer that thaws once it is settled what goes cannot write any more', async () => {
    const run = newId('run');
    const load = await room.prepare(sync, run);
    const lease = { run, load: load.loadId, partition: 1 };
    const zombie = await room.destination.takeLease({ ...lease, epoch: nextEpoch() });
    await room.attempt(run, load);
    const late = await room.destination.takeLease({ ...lease, epoch: nextEpoch() });
    await expect(finish({ run, load }, { steps: 1 })).rejects.toThrow('killed');
    await expect(zombie.begin()).rejects.toMatchObject({ code: 'FENCED' });
    await expect(late.begin()).rejects.toMatchObject({ code: 'FENCED' });
    await Promise.all([zombie.close(), late.close()]);
    await finish({ run, load });
    await room.expectEqual();
  });

  test('a backend that is terminated in the middle of a delete has deleted nothing of its chunk', async () => {
    const work = await copied(sync);
    await expect(finish(work, { steps: 1 })).rejects.toThrow('killed');
    const locker = new Client(room.destinationAccess);
    await locker.connect();
    await locker.query('begin; select from target where id = 9 for update');
    const other = room.openDestination();
    const broken = finish(work, { destination: other });
    const waiting = `select pid from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database() and query like '%penstock_chunk%'`;
    await waitUntil('the delete waits', async () => (await room.to.query(waiting)).rows.length === 1);
    await room.to.query(`select pg_terminate_backend(pid) from (${waiting}) as w`);
    await expect(broken).rejects.toMatchObject({ code: 'DESTINATION_UNREACHABLE' });
    await locker.end();
    expect((await room.to.query('select from target')).rowCount).toBe(100);
    expect((await finish(work)).receipt).toMatchObject({ deleted: 11 });
    await other.close();
    await room.expectEqual();
  });

  test('with another plan the load is abandoned, and what it had noted is dropped', async () => {
    await expect(finish(await copied(sync), { steps: 2 })).rejects.toThrow('killed');
    expect(await tablesLeft()).toHaveLength(2);
    const query = 'select id, name from people where id <> 1';
    await room.run({ ...sync, spec: { ...sync.spec, source: { ...sync.spec.source, query } } });
    expect(await tablesLeft()).toEqual([]);
    await room.remove('id = 1');
    await room.expectEqual();
  });

  test('the tables that it goes by are logged: empty ones would let everything be deleted', async () => {
    await expect(finish(await copied(sync), { steps: 1 })).rejects.toThrow('killed');
    const { rows } = await room.to.query(
      `select relname, relpersistence as kind from pg_class
        where relnamespace = '_penstock'::regnamespace and relkind = 'r' and relname like '%lod%' order by 1`,
    );
    expect(rows).toEqual([
      { relname: expect.stringMatching(/^doomed_/), kind: 'p' },
      { relname: expect.stringMatching(/^seen_/), kind: 'p' },
    ]);
    await room.destination.resetSync(sync.id, { deleteRows: false });
  });
});

test('keys that were read before an interruption are not forgotten by those who go on', async () => {
  const sync = room.mirroring();
  await room.run(sync);
  await room.remove('id > 95');
  const run = newId('run');
  const load = await room.prepare(sync, run);
  let batches = 0;
  const limits = { rows: 20, bytes: 1 << 20, timeMs: 60_000 };
  await room.attempt(run, load, { limits, drain: () => batches++ > 2 });
  await room.destination.closeRun(run);
  const next = newId('run');
  expect(await room.prepare(sync, next)).toMatchObject({ loadId: load.loadId, continued: true });
  expect(await room.attempt(next, load, { limits })).toMatchObject({ outcome: 'finished' });
  expect((await finish({ run: next, load })).receipt).toMatchObject({ deleted: 5 });
  await room.expectEqual();
});

test.each(['empty', 'filled'])(
  'a query that cannot be resumed, into a table that was %s: what an interrupted attempt brought counts for nothing',
  async (was) => {
    const sync = room.mirroring({
      query: 'select * from people limit 1000',
      limits: { maxDeletePercent: 100 },
    });
    if (was === 'filled') await room.run(sync);
    const run = newId('run');
    const load = await room.prepare(sync, run);
    let batches = 0;
    const limits = { rows: 20, bytes: 1 << 20, timeMs: 60_000 };
    await room.attempt(run, load, { limits, drain: () => batches++ > 2 });
    await room.remove('id <= 15');
    expect(await room.attempt(run, load, { limits })).toMatchObject({ outcome: 'finished', rows: 85 });
    await room.destination.finish({
      run,
      load: load.loadId,
      limits: { chunkRows: 10, maxDeletePercent: 100 },
    });
    await room.expectEqual();
  },
);

test('random changes, batches and kills: the target equals the source after every run', async () => {
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  process.stdout.write(`mirror: SEED=${seed}\n`);
  let state = seed;
  const random = (below: number) => (state = (state * 1_103_515_245 + 12_345) & 0x7fffffff) % below;
  const sync = room.mirroring({ limits: { maxDeletePercent: 100 } });
  for (let round = 0; round < 6; round++) {
    await room.remove(`id % ${2 + random(9)} = ${random(3)}`);
    const from = 1000 * (round + 1);
    await room.fill(from, from + random(60));
    await room.from.query(`update people set name = name || 'x' where id % ${2 + random(9)} = 0`);
    const run = newId('run');
    const load = await room.prepare(sync, run);
    for (let outcome = 'yielded'; outcome === 'yielded';) {
      let asked = random(40);
      ({ outcome } = await room.attempt(run, load, {
        limits: { rows: 1 + random(30), bytes: 1 << 20, timeMs: 60_000 },
        drain: () => asked-- === 0,
      }));
    }
    const limits = { chunkRows: 1 + random(20), maxDeletePercent: 100 };
    for (let done = false; !done;) {
      let left = 1 + random(4);
      const signal = {
        throwIfAborted: () => {
          if (left-- === 0) throw new Error('killed');
        },
      } as AbortSignal;
      done = await room.destination.finish({ run, load: load.loadId, limits, signal }).then(
        () => true,
        (error: Error) => {
          if (error.message !== 'killed') throw error;
          return false;
        },
      );
    }
    await room.expectEqual();
    expect(await tablesLeft()).toEqual([]);
  }
});

describe('keys', () => {
  test('of several columns, in another order than the index has them', async () => {
    await room.from.query('drop table people');
    await room.from.query(
      `create table people as select i % 5 as a, i as id, 'n' || i as name from generate_series(1, 60) as i`,
    );
    await room.to.query('create table target (name text, id integer, a integer, primary key (id, a))');
    const sync = room.mirroring({ key: ['a', 'id'] });
    await room.run(sync);
    await room.remove('id in (7, 14)');
    expect(await room.run(sync)).toMatchObject({ unchanged: 58, deleted: 2 });
  });

  test('that are equal only by their own type’s equality are the same key', async () => {
    for (const client of [room.from, room.to]) await client.query('create extension if not exists citext');
    await room.from.query('alter table people add code citext');
    await room.from.query(
      `update people set code = 'Code ' || id; alter table people add unique (code), alter code set not null`,
    );
    const sync = room.mirroring({ query: 'select code, name from people', key: ['code'] });
    await room.run(sync);
    await room.to.query('update target set code = upper(code::text)');
    await room.remove('id = 3');
    expect(await room.run(sync)).toMatchObject({ read: 99, inserted: 0, deleted: 1 });
  });

  test('that may be NULL are refused: such a row could never be found again', async () => {
    await room.to.query('create table target (id integer unique, name text)');
    await expect(room.prepare(room.mirroring(), newId('run'))).rejects.toMatchObject({
      code: 'TARGET_MISMATCH',
    });
  });
});

test('a granted role that may not touch _penstock writes and deletes', async () => {
  const role = `mirror_${newId('run').slice(-12)}`;
  await room.to.query(`create role ${role}`);
  const granted = room.openDestination({ access: { databaseRole: role } });
  const sync = room.mirroring();
  await room.prepare(sync, newId('run'));
  await room.to.query(`grant usage on schema public to ${role}; grant all on target to ${role}`);
  await room.to.query(
    `delete from _penstock.lease; update _penstock.load set phase = 'abandoned', closed_at = now() where closed_at is null`,
  );
  await room.run(sync, { destination: granted });
  await room.to.query(`create table written_by (name text); grant insert on written_by to ${role}`);
  await room.to.query(`create function note() returns trigger language plpgsql as
    $$ begin insert into written_by values (current_user); return old; end $$`);
  await room.to.query('create trigger note after delete on target for each row execute function note()');
  await room.remove('id = 3');
  expect(await room.run(sync, { destination: granted })).toMatchObject({ unchanged: 99, deleted: 1 });
  expect((await room.to.query('select name from written_by')).rows).toEqual([{ name: role }]);
  await room.expectEqual();
  await granted.close();
  await room.to.query(
    `drop table written_by, target; drop function note; drop owned by ${role}; drop role ${role}`,
  );
});

test('a row that the target refuses was in the result: what the target has under its key stays', async () => {
  const sync = room.mirroring({ limits: { maxRejects: 1 } });
  await room.run(sync);
  await room.to.query(`alter table target add constraint known check (name <> 'refused')`);
  await room.from.query(`update people set name = 'refused' where id = 7`);
  await room.remove('id = 8');
  const limits = { rows: 30, bytes: 1 << 20, timeMs: 60_000, maxRejects: 1 };
  expect(await room.run(sync, { limits })).toMatchObject({ unchanged: 98, rejected: 1, deleted: 1 });
  expect((await room.to.query('select name from target where id = 7')).rows).toEqual([{ name: 'name 7' }]);
});

test('a trigger that keeps rows from being deleted is found', async () => {
  const sync = room.mirroring();
  await room.run(sync);
  await room.to.query(`create or replace function keep() returns trigger language plpgsql as
    $$ begin if old.id = 3 then return null; end if; return old; end $$`);
  await room.to.query('create trigger keep before delete on target for each row execute function keep()');
  await room.remove('id < 5');
  await expect(room.run(sync)).rejects.toMatchObject({ code: 'ROWS_SWALLOWED' });
  expect((await room.to.query('select from target')).rowCount).toBe(100);
});
