/** The destination's own rules: what bounds a transaction, what is logged, who writes as whom. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import {
  defaultTimeouts,
  inTransaction,
  type DestinationContext,
} from '../../../src/destinations/postgres/destination-session.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { noKeptSessions } from '../../../src/postgres-client/kept-sessions.ts';
import type { OpenLoad } from '../../../src/ports/destination.ts';
import { createPipeRoom, nextEpoch, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { startTcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createPipeRoom();
  await room.from.query('create table numbers (id integer primary key, label text)');
  await room.from.query(`insert into numbers select i, 'row ' || i from generate_series(1, 100) as i`);
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.to.query('drop table if exists target');
  run = newId('run');
  load = await room.prepare(room.sync({ query: 'select * from numbers', key: ['id'] }), run);
});

const leaseOf = (epoch = nextEpoch()) => ({ run, load: load.loadId, partition: 1, epoch });
const noRows = { keyHi: null, rows: 0, bytes: 0, final: false };

test('everything that a checkpoint vouches for is logged: an unlogged table would be empty after a crash', async () => {
  const { rows } = await room.to.query(
    `select relname from pg_class where relnamespace = '_penstock'::regnamespace and relkind = 'r' and relpersistence <> 'p'`,
  );
  expect(rows).toEqual([]);
});

test('rejects count for all partitions together, also those that were committed since the lease was taken', async () => {
  const parallel = { parallel: 2, batchRows: 10 };
  load = await room.prepare(
    room.sync({ query: 'select * from numbers', key: ['id'], table: 'parted', limits: parallel }),
    run,
  );
  const reject = { sqlstate: '23514', column: null, constraint: null, cause: '', rows: 1, values: [] };
  const writers = await Promise.all(
    [1, 2].map((partition) => room.destination.takeLease({ ...leaseOf(), partition, maxRejects: 1 })),
  );
  const commit = async (i: 0 | 1) => {
    await writers[i]!.beginParts();
    const rejects = [{ ...reject, key: [String(i)] }];
    return writers[i]!.commit({ ...noRows, rows: 1, final: true, rejects });
  };
  await commit(0);
  await expect(commit(1)).rejects.toMatchObject({ code: 'VALUE_REFUSED' });
  await Promise.all(writers.map((writer) => writer.close()));
});

test('the schema is created once, by however many at the same time, with however little of it there', async () => {
  const fresh = await createPipeRoom();
  const many = Array.from({ length: 5 }, () => fresh.openDestination());
  await Promise.all(many.map((destination) => destination.ensureSchema()));
  await Promise.all(many.map((destination) => destination.close()));
  await fresh.run(fresh.sync({ query: 'select 1 as id', key: ['id'] }));
  await fresh.close();
});

test('who prepares the schema waits for another who does no longer than a lock time-out', async () => {
  const fresh = await createPipeRoom();
  // Whoever holds all that there is of advisory locks in it: another version of the product.
  await fresh.to.query(`begin; select pg_advisory_xact_lock(7305411902155)`);
  const impatient = fresh.openDestination({ timeouts: { lockMs: 100 } });
  await expect(impatient.ensureSchema()).rejects.toMatchObject({ code: 'DESTINATION_BUSY' });
  await fresh.to.query('commit');
  await impatient.ensureSchema();
  await impatient.close();
  await fresh.close();
});

test('the schema is not used where a stranger has made it, whose triggers would have the login’s rights', async () => {
  const fresh = await createPipeRoom();
  const stranger = `stranger_${fresh.destinationAccess.database}`;
  const sync = fresh.sync({ query: 'select 1 as id', key: ['id'] });
  await fresh.run(sync);
  const uses = async (): Promise<unknown> => {
    const used = await Promise.allSettled([
      fresh.destination.ensureSchema(),
      fresh.prepare(sync, newId('run')),
      fresh.destination.lastDoneLoad(sync.id),
    ]);
    return used.map((each) => (each.status === 'rejected' ? (each.reason as { code: string }).code : 'used'));
  };
  const [refused, used] = [Array(3).fill('DESTINATION_PERMISSION'), Array(3).fill('used')];
  try {
    await fresh.to.query(`create role ${stranger}; alter schema _penstock owner to ${stranger}`);
    expect(await uses()).toEqual(refused);
    await fresh.to.query(`grant ${stranger} to current_user`);
    expect(await uses()).toEqual(used);
    await fresh.to.query(
      `revoke ${stranger} from current_user; alter database ${fresh.destinationAccess.database} owner to ${stranger}`,
    );
    expect(await uses()).toEqual(used);
  } finally {
    await fresh.close();
    await room.to.query(`drop role ${stranger}`);
  }
});

test('a batch that outlives its statement time-out is refused at its next byte', async () => {
  const timeouts = { ...defaultTimeouts };
  const slow = openPostgresDestination(room.destinationAccess, { timeouts });
  const writer = await slow.takeLease(leaseOf());
  timeouts.statementMs = 100;
  const batch = async () => {
    await writer.begin();
    await room.to.query('select pg_sleep(0.3)');
    await writer.commit(noRows);
  };
  await expect(batch()).rejects.toMatchObject({ code: 'DESTINATION_BUSY' });
  await writer.close();
  await slow.close();
});

test('a writer that freezes in mid-COPY is seen by no time-out of the server: whoever takes the lease ends it', async () => {
  const frozen = room.openDestination({ timeouts: { statementMs: 2_000, idleMs: 2_000 } });
  const writer = await frozen.takeLease(leaseOf());
  await writer.begin();
  await room.to.query('select pg_sleep(2.5)');
  const open = await room.to.query(
    'select state, wait_event from pg_stat_activity where application_name = $1',
    [`penstock:${load.loadId}:1`],
  );
  expect(open.rows).toEqual([{ state: 'active', wait_event: 'ClientRead' }]);
  const quick = room.openDestination({ timeouts: { graceMs: 50 } });
  const replacement = await quick.takeLease(leaseOf());
  await expect(writer.commit(noRows)).rejects.toThrow();
  await Promise.all([writer.close(), replacement.close()]);
  await Promise.all([frozen.close(), quick.close()]);
});

test('work that goes on as its destination is closed leaves no connection behind', async () => {
  const proxy = await startTcpProxy(room.destinationAccess);
  const destination = room.openDestination({ access: { port: proxy.port } });
  const working = destination.check();
  await destination.close();
  await working;
  expect(proxy.connections).toBe(1);
  await waitUntil('the end of its connection', async () => !proxy.isOpen(1));
  await proxy.close();
});

test('bookkeeping that freezes between two statements is ended by the server before what needs its rows gives up', async () => {
  const context = {
    access: room.destinationAccess,
    timeouts: { ...defaultTimeouts, bookkeepingIdleMs: 100 },
    sessions: noKeptSessions,
    idle: null,
  };
  const lockLoad = (mode: string) => `select from _penstock.load where id = '${load.loadId}' ${mode}`;
  const frozen = inTransaction(context, 'Testing', async (sql) => {
    await sql(lockLoad('for update'));
    await room.to.query(lockLoad('for update'));
    await sql('select 1');
  });
  await expect(frozen).rejects.toMatchObject({ code: 'DESTINATION_UNREACHABLE' });
  expect(defaultTimeouts.bookkeepingIdleMs).toBeLessThan(defaultTimeouts.lockMs);
});

test('who looks for what blocks bookkeeping is not waited for, and ends nobody when it comes too late', async () => {
  await room.to.query('create table held (id integer); insert into held values (1), (2)');
  const lockRow = (id: number) => `select from public.held where id = ${id} for update`;
  const batches = [1, 2].map(
    (id) => new Client({ ...room.destinationAccess, application_name: `penstock:lod_${id}:1` }),
  );
  for (const [i, batch] of batches.entries()) {
    await batch.connect();
    await batch.query(`begin; ${lockRow(i + 1)}`);
  }
  const proxy = await startTcpProxy(room.destinationAccess);
  let mayLook = () => {};
  const looking = new Promise<void>((resolve) => (mayLook = resolve));
  proxy.intercept('toServer', (_, connection) => (connection === 2 ? looking : 'pass'));
  const access = { ...room.destinationAccess, port: proxy.port };
  const timeouts = { ...defaultTimeouts, graceMs: 50 };
  const context: DestinationContext = { access, timeouts, sessions: noKeptSessions, idle: null };
  const first = inTransaction(context, 'Testing', async (sql) => {
    await sql(lockRow(1));
    return sql('select pg_backend_pid() as pid');
  });
  await waitUntil('somebody looks', async () => proxy.connections === 2);
  await batches[0]!.query('commit');
  const [me] = (await first) as { pid: number }[];
  const patient = { ...context, timeouts: { ...defaultTimeouts, graceMs: 600_000, lockMs: 60_000 } };
  const second = inTransaction(patient, 'Testing', (sql) => sql(lockRow(2)));
  await waitUntil('the same session waits again', async () => {
    const waiting = await room.from.query('select from pg_locks where pid = $1 and not granted', [me!.pid]);
    return waiting.rowCount! > 0;
  });
  mayLook();
  await waitUntil('it has looked', async () => !proxy.isOpen(2));
  await batches[1]!.query('commit');
  await second;
  await Promise.all(batches.map((batch) => batch.end()));
  await patient.idle?.end();
  await proxy.close();
});

test('a target that somebody else has locked is an error after the lock time-out, not a wait for ever', async () => {
  const other = new Client(room.destinationAccess);
  await other.connect();
  await other.query('begin; lock table target in access exclusive mode');
  const impatient = room.openDestination({ timeouts: { lockMs: 200 } });
  const writer = await impatient.takeLease(leaseOf());
  await expect(writer.begin()).rejects.toMatchObject({ code: 'TARGET_LOCKED' });
  await writer.close();
  await impatient.close();
  await other.end();
});

test('a take that waits ends only transactions of the protocol, not somebody else’s', async () => {
  const other = new Client({ ...room.destinationAccess, application_name: 'a human' });
  await other.connect();
  await other.query('begin');
  await other.query('select from _penstock.lease where load = $1 for update', [load.loadId]);
  const impatient = room.openDestination({ timeouts: { graceMs: 50, lockMs: 400 } });
  await expect(impatient.takeLease(leaseOf())).rejects.toMatchObject({ code: 'DESTINATION_BUSY' });
  expect((await other.query('select 1 as alive')).rows).toEqual([{ alive: 1 }]);
  await other.end();
  await impatient.close();
});

test('a batch that is there already is fenced by its key, never rejected as a row', async () => {
  const writer = await room.destination.takeLease(leaseOf());
  await writer.begin();
  await room.to.query(
    `insert into _penstock.checkpoint (load, partition, batch, rows, inserted, updated, unchanged, deduplicated, bytes, final, relation, run, epoch)
     values ($1, 1, 1, 0, 0, 0, 0, 0, 0, false, 0, 'somebody', 0)`,
    [load.loadId],
  );
  await expect(writer.commit(noRows)).rejects.toMatchObject({ code: 'FENCED' });
  await writer.close();
});

test('epochs beyond 2^53 are told apart', async () => {
  const epochs = ['9007199254740992', '9007199254740993', '9223372036854775807'];
  for (const epoch of epochs) await (await room.destination.takeLease(leaseOf(epoch))).close();
  await expect(room.destination.takeLease(leaseOf(epochs[1]))).rejects.toMatchObject({ code: 'FENCED' });
});

describe('a granted destination', () => {
  test.each(['append', 'upsert'] as const)(
    '%s writes as the role it was granted, and no more',
    async (mode) => {
      const role = `granted_${mode}_${Date.now()}`;
      await room.to.query(`create role ${role}`);
      const sync = room.sync({ query: 'select * from numbers', key: ['id'], mode, table: `granted_${mode}` });
      const granted = room.openDestination({ access: { databaseRole: role } });
      const first = newId('run');
      const opened = await room.prepare(sync, first);
      const refused = room.attempt(first, opened, { destination: granted });
      await expect(refused).rejects.toMatchObject({ code: 'DESTINATION_PERMISSION' });
      await room.to.query(`grant select, insert, update on granted_${mode} to ${role}`);
      await room.to.query(`grant usage on schema public to ${role}`);
      await room.to.query(`insert into granted_${mode} values (1, 'there')`);
      const finished = await room.attempt(first, opened, { destination: granted });
      if (mode === 'upsert') expect(finished).toMatchObject({ outcome: 'finished', rows: 100 });
      await granted.close();
      await room.to.query(`drop owned by ${role}; drop role ${role}`);
    },
  );

  test.each(['append', 'mirror'] as const)(
    '%s leaves out what is refused: a role that may not touch _penstock',
    async (mode) => {
      const role = `refused_${mode}_${Date.now()}`;
      await room.to.query(
        `create role ${role}; grant usage on schema public to ${role};
       create table refused_${mode} (id integer primary key, label text, check (id <> 50));
       grant all on refused_${mode} to ${role}`,
      );
      const granted = room.openDestination({ access: { databaseRole: role } });
      const table = `refused_${mode}`;
      const sync = room.sync({ query: 'select * from numbers', key: ['id'], mode, table });
      const limits = { rows: 1_000, bytes: 1 << 20, timeMs: 60_000, maxRejects: 1 };
      const receipt = await room.run(sync, { destination: granted, limits });
      expect(receipt).toMatchObject({ inserted: 99, rejected: 1 });
      await granted.close();
      await room.to.query(`drop owned by ${role}; drop role ${role}`);
    },
  );
});

test('deleting rows at a reset is refused when another sync writes to the table as well', async () => {
  const [mine, theirs] = [1, 2].map(() =>
    room.sync({ query: 'select * from numbers', key: ['id'], table: 'both' }),
  );
  await room.run(mine!);
  await room.run(theirs!);
  const reset = room.destination.resetSync(mine!.id, { deleteRows: true });
  await expect(reset).rejects.toMatchObject({ code: 'TARGET_OWNED' });
  expect(await rowsAsText(room.to, 'select * from "both"')).toHaveLength(200);
});

test('a column is never of a table’s row type: whoever owns that table could not change it any more', async () => {
  await room.to.query('create table theirs (id integer)');
  await room.from.query('create type theirs as (id integer)');
  const query = 'select 1 as id, row(1)::theirs as one, array[row(1)::theirs] as many';
  await room.run(room.sync({ query, key: ['id'], table: 'mine' }));
  const { rows } = await room.to.query(
    `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'mine'::regclass and attnum > 1`,
  );
  expect(rows).toEqual([{ type: 'text' }, { type: 'text' }]);
  await room.to.query('alter table theirs alter column id type bigint');
});
