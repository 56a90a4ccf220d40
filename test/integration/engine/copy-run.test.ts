/** Runs from the trigger to the receipt: real databases, a real Temporal, and workers that are processes. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import type { GuardedProcess } from '../../../src/dev/guard.ts';
import type { SyncRunResult } from '../../../src/workflows/sync-run.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { expectSameRows } from '../../support/expect-same-rows.ts';
import { accessOf } from '../../support/pipe-room.ts';
import { resetWorkflow } from '../../support/reset-workflow.ts';
import { gateRow, type RowGate } from '../../support/row-gate.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

const rows = 4_000;
const batchRows = 100;
/** In the middle of the 21st batch. */
const gatedRow = 2_050;

let room: CopyingRoom;
/** Ended after the test that started them. */
const workers: GuardedProcess[] = [];
/** Stays from test to test, until one starts workers of its own. */
let standing: GuardedProcess | undefined;
const gates: RowGate[] = [];

beforeAll(async () => {
  room = await createCopyingRoom();
});
afterEach(async () => {
  await kill(workers.splice(0));
  for (const gate of gates.splice(0)) gate.close();
});
afterAll(() => room?.close());

async function kill(some: readonly GuardedProcess[]): Promise<void> {
  for (const worker of some) worker.signal('SIGKILL');
  await Promise.all(some.map((worker) => worker.exited));
}

async function haveWorker(): Promise<void> {
  standing ??= await room.startWorker();
}

async function startWorker(...kinds: Parameters<CopyingRoom['startWorker']>): Promise<GuardedProcess> {
  if (standing) await kill([standing]);
  standing = undefined;
  const worker = await room.startWorker(...kinds);
  workers.push(worker);
  return worker;
}

async function plantSync(name: string, connection = 'source'): Promise<void> {
  await room.source.query(
    `create table ${name} as
     select id, 'user ' || id || ' ''"\\ €' as label, id * 1.5 as amount, now() as at
     from generate_series(1, ${rows}) id;
     alter table ${name} add primary key (id)`,
  );
  const source = { connection, query: `select * from ${name}` };
  await room.addSync({ name, source, mode: 'append', key: ['id'], limits: { batchRows } });
}

/** The target stops in the middle of the batch with this row, until the gate is opened. */
async function blockAtRow(table: string, id: number): Promise<RowGate> {
  const columns = 'id int primary key, label text, amount numeric, at timestamptz';
  const gate = await gateRow(room.destination, { table, columns, id });
  gates.push(gate);
  return gate;
}

const untilToldToStop = (runId: string): Promise<void> =>
  waitUntil('the attempt is told to stop', () => room.saysOf(runId, 'attempt: told to stop'));

const expectEqual = (name: string): Promise<void> => expectSameRows(room, name, rows);

/** Adds a connection to the source with a proxy in between. */
async function connectThrough(name: string): Promise<TcpProxy> {
  const { host, port, database, user } = await room.store.connections.fetch(room.scope, 'source');
  const proxy = await startTcpProxy({ host, port });
  const through = { host: '127.0.0.1', port: proxy.port, database, user, password: room.password };
  await room.store.connections.create(room.scope, {
    name,
    kind: 'postgres',
    tls: { mode: 'disable' },
    ...through,
  });
  return proxy;
}

const committedBatches = async (): Promise<number> => {
  const { rows: found } = await room.destination.query<{ n: number }>(
    'select count(*)::int as n from _penstock.checkpoint',
  );
  return found[0]!.n;
};

describe('a run', () => {
  test('copies every row, and its receipt adds up', async () => {
    await haveWorker();
    await plantSync('plain');
    const run = await room.startRun('plain');
    const result = (await run.handle.result()) as SyncRunResult;
    expect(result).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('plain');
    const { status, receipt, attempts } = await run.fetch();
    expect(status).toBe('succeeded');
    expect(receipt).toMatchObject({ read: rows, inserted: rows });
    expect(attempts).toBe(1);
  });

  test('of a mirror deletes what is gone, and fails before it deletes more than it may', async () => {
    await haveWorker();
    await room.source
      .query(`create table mirrored as select id, 'user ' || id as label from generate_series(1, 500) id;
      alter table mirrored add primary key (id)`);
    await room.addSync({ name: 'mirrored', mode: 'mirror', key: ['id'], limits: { batchRows: 20 } });
    await (await room.startRun('mirrored')).handle.result();
    await room.source.query('delete from mirrored where id % 10 = 0');
    const run = await room.startRun('mirrored');
    await run.handle.result();
    expect((await run.fetch()).receipt).toMatchObject({ read: 450, unchanged: 450, deleted: 50 });
    await room.source.query('delete from mirrored where id > 100');
    const stopped = await room.startRun('mirrored');
    await expect(stopped.handle.result()).rejects.toThrow();
    expect(await stopped.fetch()).toMatchObject({ status: 'failed', error: { code: 'TOO_MANY_DELETES' } });
    expect((await room.destination.query('select from synced.mirrored')).rowCount).toBe(450);
  });

  test('into the table of a sync that was deleted waits until that one has given it up', async () => {
    await haveWorker();
    await room.source.query(`create table handed_on as select generate_series(1, 10) as id`);
    await room.source.query(`alter table handed_on add primary key (id)`);
    await room.addSync({ name: 'handed_on', mode: 'upsert', key: ['id'] });
    await (await room.startRun('handed_on')).handle.result();
    const { id } = await room.store.syncs.fetch(room.scope, 'handed_on');
    await room.store.syncs.delete(room.scope, id, undefined);
    await room.addSync({ name: 'handed_on', mode: 'upsert', key: ['id'] });
    const run = await room.startRun('handed_on');
    await waitUntil('it waits', async () => {
      const { raw } = await run.handle.describe();
      const failure = raw.pendingActivities?.[0]?.lastFailure?.message ?? '';
      return failure.includes('held by a sync that was deleted');
    });
    const destination = openPostgresDestination(accessOf(room.destination.options.connectionString!));
    await destination.releaseSync(id);
    await destination.close();
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows: 10 });
  });

  test('is done by workers that only copy beside others that only decide', async () => {
    await startWorker('workflows');
    await startWorker('copy');
    await plantSync('apart');
    const run = await room.startRun('apart');
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('apart');
  });

  test('whose worker is killed in the middle of a batch is finished by another, with at most one batch done again', async () => {
    const first = await startWorker();
    await plantSync('killed');
    const gate = await blockAtRow('killed', gatedRow);
    const run = await room.startRun('killed');
    await waitUntil('the copy is in the middle of a batch', () => gate.reached());
    const before = await committedBatches();
    first.signal('SIGKILL');
    await first.exited;
    await startWorker();
    await gate.open();
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('killed');
    const { receipt, attempts } = await run.fetch();
    expect(attempts).toBe(2);
    // Twenty batches were committed before the kill; what came later was read by the second attempt alone.
    expect(before).toBeGreaterThanOrEqual(20);
    const { rows: found } = await room.control.query<{ rows: string }>(
      'select rows from penstock.run_attempt where run_id = $1 order by epoch',
      [run.runId],
    );
    expect(Number(found[1]!.rows)).toBe(rows - 20 * batchRows);
    expect(receipt).toMatchObject({ read: rows, inserted: rows });
  });

  test('whose worker is told to end commits the batch in hand, and another goes on from there', async () => {
    const first = await startWorker();
    await plantSync('drained');
    const gate = await blockAtRow('drained', gatedRow);
    const run = await room.startRun('drained');
    await waitUntil('the copy is in the middle of a batch', () => gate.reached());
    first.signal('SIGTERM');
    await untilToldToStop(run.runId);
    await gate.open();
    expect(await first.exited).toEqual({ code: 0, signal: null });
    const { rows: found } = await room.control.query(
      'select outcome, rows from penstock.run_attempt where run_id = $1',
      [run.runId],
    );
    expect(found).toEqual([{ outcome: 'yielded', rows: expect.stringMatching(/^2[01]\d{2}$/) }]);
    await startWorker();
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('drained');
  });

  test('whose workflow is reset to its beginning goes on at once, though its calls are counted anew', async () => {
    await haveWorker();
    await plantSync('reset');
    const gate = await blockAtRow('reset', gatedRow);
    const run = await room.startRun('reset');
    await waitUntil('the copy is in the middle of a batch', () => gate.reached());
    await room.store.runs.pause(room.scope, run.runId);
    await untilToldToStop(run.runId);
    await gate.open();
    await waitUntil('it is paused', async () => (await run.fetch()).status === 'paused');
    // As after forty calls more.
    await room.destination.query(
      'update _penstock.lease set epoch = epoch + 40 * (1::bigint << 42) where run = $1',
      [run.runId],
    );
    await resetWorkflow(room.client, run.workflowId);
    await room.resumeRun(run);
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('reset');
    const { rows: fenced } = await room.control.query(
      `select from penstock.run_attempt where run_id = $1 and outcome = 'fenced'`,
      [run.runId],
    );
    expect(fenced).toEqual([]);
  });

  test('whose destination loses its newest batches before the finish copies them again', async () => {
    await haveWorker();
    await plantSync('restored');
    const { connectionString } = room.destination.options;
    const destination = openPostgresDestination(accessOf(connectionString!));
    await destination.ensureSchema();
    await destination.close();
    // The final checkpoint goes, once, with the batches from the third on and their rows: as after a failover.
    await room.destination.query(`
      create table synced.lost (load text primary key);
      create function synced.lose_tail() returns trigger language plpgsql as $$ begin
        if not new.final or new.load not in (select id from _penstock.load where plan::text like '%restored%') then return new; end if;
        insert into synced.lost values (new.load) on conflict do nothing;
        if not found then return new; end if;
        delete from synced.restored where id > ${2 * batchRows};
        delete from _penstock.checkpoint where load = new.load and batch > 2;
        return new; end $$;
      create trigger lose_tail after insert on _penstock.checkpoint for each row execute function synced.lose_tail()`);
    const run = await room.startRun('restored');
    expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
    await expectEqual('restored');
    expect((await room.destination.query('select from synced.lost')).rowCount).toBe(1);
    await room.destination.query('drop trigger lose_tail on _penstock.checkpoint');
  });

  test('waits for a control database that is away: UNAVAILABLE in the history, one line in the log', async () => {
    const { hostname, port } = new URL(room.control.options.connectionString!);
    const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
    const through = new URL(room.control.options.connectionString!);
    through.host = `127.0.0.1:${proxy.port}`;
    try {
      await startWorker('all', { databaseUrl: through.href });
      await plantSync('away');
      const gate = await blockAtRow('away', gatedRow);
      const run = await room.startRun('away');
      await waitUntil('the copy is in the middle of a batch', () => gate.reached());
      const loudLines = async () =>
        (await room.logs()).split('\n').filter((line) => /"level":"(warn|error)"/.test(line));
      const before = await loudLines();
      proxy.intercept('toServer', () => 'cut');
      proxy.cut('reset');
      await gate.open();
      await waitUntil('its end cannot be recorded', async () => {
        const { raw } = await run.handle.describe();
        const [pending] = raw.pendingActivities ?? [];
        return (
          pending?.activityType?.name === 'finishRun' &&
          pending.lastFailure?.applicationFailureInfo?.type === 'UNAVAILABLE'
        );
      });
      proxy.mend();
      expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
      const loud = (await loudLines()).filter((line) => !before.includes(line));
      expect(loud).toEqual([expect.stringContaining('control database does not answer')]);
    } finally {
      await proxy.close();
    }
  });

  test('whose source is away shows what it waits for and its next try, until the source is back', async () => {
    await haveWorker();
    const proxy = await connectThrough('shaky');
    try {
      await plantSync('shaky', 'shaky');
      proxy.intercept('toServer', () => 'cut');
      const gate = await blockAtRow('shaky', gatedRow);
      const run = await room.startRun('shaky');
      const retry = async () => (await run.fetch()).retry;
      await waitUntil('it waits for the next try', async () => ((await retry())?.times ?? 0) > 1);
      expect(await retry()).toMatchObject({ step: 'prepare', code: 'SOURCE_UNREACHABLE' });
      expect(Date.parse((await retry())!.nextAt)).toBeGreaterThan(Date.parse((await retry())!.since));
      proxy.mend();
      await waitUntil('the copy is in the middle of a batch', () => gate.reached());
      expect(await retry()).toBeNull();
      expect(await run.fetch()).toMatchObject({ status: 'running', error: null });
      await gate.open();
      expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
      await expectEqual('shaky');
    } finally {
      await proxy.close();
    }
  });

  test('whose source stops in the middle of its rows fails that attempt by the row time-out, waits, and goes on', async () => {
    await startWorker('all', { rowTimeout: '1s' });
    const proxy = await connectThrough('stalling');
    try {
      await plantSync('stalling', 'stalling');
      // More than the sockets between here and there hold.
      await room.source.query(`update stalling set label = repeat(md5(id::text), 32)`);
      let bytes = 0;
      proxy.intercept('toClient', (chunk) => {
        if ((bytes += chunk.length) > 1_000_000) proxy.freeze();
        return 'pass';
      });
      const run = await room.startRun('stalling');
      await waitUntil('it waits for the next try', async () => (await run.fetch()).retry !== null);
      expect(await run.fetch()).toMatchObject({ status: 'running', retry: { step: 'partition 1' } });
      const { rows: tried } = await room.control.query(
        'select outcome, error_code from penstock.run_attempt where run_id = $1 order by epoch limit 1',
        [run.runId],
      );
      expect(tried).toEqual([{ outcome: 'failed', error_code: 'SOURCE_STALLED' }]);
      proxy.mend();
      proxy.thaw();
      expect(await run.handle.result()).toMatchObject({ status: 'succeeded', rows });
      await expectEqual('stalling');
      expect((await run.fetch()).receipt).toMatchObject({ read: rows, inserted: rows });
    } finally {
      await proxy.close();
    }
  });

  test('fails at once when somebody has to mend something, and says what', async () => {
    await haveWorker();
    await room.addSync({
      name: 'broken',
      mode: 'append',
      key: ['id'],
      source: { connection: 'source', query: 'select id from nowhere' },
    });
    const run = await room.startRun('broken');
    await expect(run.handle.result()).rejects.toMatchObject({ cause: { type: 'SOURCE_SQL' } });
    const { status, error } = await run.fetch();
    expect(status).toBe('failed');
    expect(error?.code).toBe('SOURCE_SQL');
  });
});
