/**
 * Secrets stay put: runs that go well and runs that fail in ways in which drivers quote what they were given, and then
 * a search for it wherever Penstock writes: histories, heartbeats, logs, rows about runs, failure texts.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import type { Connection } from '@temporalio/client';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** In a row, in the SQL of a query, in a key: never to be seen outside of the two databases and the sync's spec. */
const canaries = { row: 'canary-row-6d1f', sql: 'canary-sql-93be', key: 'canary-key-41c7' };

let room: CopyingRoom;
let connection: Connection;

beforeAll(async () => {
  room = await createCopyingRoom();
  connection = room.client.connection as Connection;
  await room.destination.query('create schema synced');
  await room.source.query(
    `create table people as
     select '${canaries.key}' || id as id, '${canaries.row}' || id as email from generate_series(1, 5000) id;
     alter table people add primary key (id)`,
  );
  await room.startWorker();
});
afterAll(() => room?.close());

/** Everything that Temporal keeps of a run, payloads decoded. */
async function readHistory(workflowId: string): Promise<string> {
  const { namespace } = room.temporal;
  const described = await connection.workflowService.describeWorkflowExecution({
    namespace,
    execution: { workflowId },
  });
  const history = await room.client.workflow.getHandle(workflowId).fetchHistory();
  const plain = [
    proto.temporal.api.workflowservice.v1.DescribeWorkflowExecutionResponse.encode(described).finish(),
    proto.temporal.api.history.v1.History.encode(history).finish(),
  ];
  return Buffer.concat(plain).toString('latin1');
}

async function readControlRows(): Promise<string> {
  const tables = ['run', 'run_attempt', 'event', 'slot', 'audit', 'idempotency_key'];
  const found = await Promise.all(
    tables.map((table) => room.control.query(`select to_jsonb(t) as row from penstock.${table} t`)),
  );
  return JSON.stringify(found.map(({ rows }) => rows));
}

function expectNoCanary(where: string, text: string): void {
  expect(text.length).toBeGreaterThan(0);
  for (const [what, canary] of Object.entries({ ...canaries, password: room.password })) {
    const encoded = Buffer.from(canary).toString('base64').replace(/=+$/, '').slice(0, -2);
    for (const form of [canary, encoded])
      expect({ where, what, found: text.includes(form) }).toEqual({ where, what, found: false });
  }
}

/** Runs whose failures a driver would describe with what it was given. */
const failing = {
  'casts a row at the source': {
    source: {
      connection: 'source',
      query: `select id, email::int as n from people where id <> '${canaries.sql}'`,
    },
  },
  'is refused by a constraint of the target': {
    source: { connection: 'source', query: 'select id, email from people' },
    table: 'create table synced.TABLE (id text primary key, email text check (length(email) < 3))',
  },
  'has a syntax error beside a literal': {
    source: { connection: 'source', query: `select id from people where '${canaries.sql}' = = id` },
  },
} as const;

describe('nothing secret is found', () => {
  test('in what a run that succeeds leaves behind, nor in its heartbeats', async () => {
    await room.destination.query(
      `create table synced.fine (id text primary key, email text);
       create function synced.gate() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock_shared(7); return new; end $$;
       create trigger gate before insert on synced.fine for each row
         when (new.id = '${canaries.key}4000') execute function synced.gate()`,
    );
    const gate = await room.destination.connect();
    await gate.query('select pg_advisory_lock(7)');
    await room.addSync({
      name: 'fine',
      mode: 'append',
      key: ['id'],
      source: { connection: 'source', query: `select id, email from people where id <> '${canaries.sql}'` },
      limits: { batchRows: 100 },
    });
    const run = await room.startRun('fine');
    const heartbeats = async () => {
      const { raw } = await run.handle.describe();
      return (raw.pendingActivities ?? []).map(({ heartbeatDetails }) =>
        Buffer.from(heartbeatDetails?.payloads?.[0]?.data ?? '').toString(),
      );
    };
    await waitUntil('a heartbeat with counts is there', async () =>
      (await heartbeats()).some((text) => text.includes('rowsPerSecond')),
    );
    expectNoCanary('heartbeats', (await heartbeats()).join('\n'));
    await gate.query('select pg_advisory_unlock(7)');
    gate.release();
    await run.handle.result();
    expectNoCanary('history', await readHistory(run.workflowId));
  });

  test.each(Object.entries(failing))('in the traces of a run that %s', async (title, { source, ...rest }) => {
    const name = `f_${title.replaceAll(' ', '_').slice(0, 40)}`;
    if ('table' in rest) await room.destination.query(rest.table.replace('TABLE', name));
    await room.addSync({ name, mode: 'append', key: ['id'], source });
    const run = await room.startRun(name);
    await expect(run.handle.result()).rejects.toThrow();
    const { error } = await run.fetch();
    expect(error?.code).not.toBe('INTERNAL');
    expectNoCanary('error', JSON.stringify(error));
    expectNoCanary('history', await readHistory(run.workflowId));
  });

  test('in a run whose login is refused', async () => {
    const { id } = await room.store.connections.fetch(room.scope, 'destination');
    await room.store.connections.update(room.scope, id, { password: `${room.password}-wrong` }, undefined);
    await room.addSync({
      name: 'refused',
      mode: 'append',
      key: ['id'],
      source: { connection: 'source', query: 'select id, email from people' },
    });
    const run = await room.startRun('refused');
    await expect(run.handle.result()).rejects.toThrow();
    expect((await run.fetch()).error?.code).toBe('DESTINATION_AUTH');
    expectNoCanary('history', await readHistory(run.workflowId));
  });

  test('in the logs of the worker, nor in the rows about runs', async () => {
    expectNoCanary('logs', await room.logs());
    expectNoCanary('control rows', await readControlRows());
  });
});
