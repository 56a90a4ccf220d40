/**
 * Secrets stay put: runs that go well and runs that fail in ways in which drivers quote what they were given, and then
 * a search for it wherever Penstock writes: histories with memos and search attributes, heartbeats, logs of every role, rows
 * about runs, failure texts, Redis, metrics, and every answer of the API.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import proto from '@temporalio/proto';
import type { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { maintenanceJobs } from '../../../src/domain/maintenance.ts';
import { scheduleIdOf } from '../../../src/workers/temporal/maintenance-schedules.ts';
import { createCopyingRoom, type CopyingRoom } from '../../support/copying-room.ts';
import { startPenstock } from '../../support/penstock-process.ts';
import { waitUntil } from '../../support/wait-until.ts';

/** In a row, in the SQL of a query, in a key: never to be seen outside of the two databases and the sync's spec. */
const canaries = { row: 'canary-row-6d1f', sql: 'canary-sql-93be', key: 'canary-key-41c7' };

/** Made on the way. */
const moreCanaries: Record<string, string> = {};

let room: CopyingRoom;
let connection: Connection;

beforeAll(async () => {
  room = await createCopyingRoom();
  connection = room.client.connection as Connection;
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

/** @param shown what this place may show */
function expectNoCanary(where: string, text: string, shown: readonly string[] = []): void {
  expect(text.length).toBeGreaterThan(0);
  const [, masterKey] = room.environment['PENSTOCK_MASTER_KEY']!.split(':');
  const all = { ...canaries, password: room.password, masterKey: masterKey!, ...moreCanaries };
  for (const [what, canary] of Object.entries(all)) {
    if (shown.includes(what)) continue;
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

/** The values of all keys, and the keys. */
async function readRedis(): Promise<string> {
  const redis = new Redis(room.environment['PENSTOCK_REDIS_URL']!);
  const found: unknown[] = [];
  for (const key of await redis.keys('*')) {
    const type = await redis.type(key);
    if (type === 'string') found.push(key, await redis.get(key));
    if (type === 'hash') found.push(key, await redis.hgetall(key));
    if (type === 'set') found.push(key, await redis.smembers(key));
    if (type === 'zset') found.push(key, await redis.zrange(key, '0', '-1'));
  }
  redis.disconnect();
  return JSON.stringify(found);
}

describe('nothing secret is found, with all roles at work,', () => {
  const operator = { tenantId: null, apiKeyId: null };
  let url: string;
  let key: string;
  let roles: ReturnType<typeof startPenstock>;

  const call = async (path: string, body?: object) => {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
    const answer = await fetch(`${url}${path}`, {
      headers,
      ...(body && { method: 'POST', body: JSON.stringify(body) }),
    });
    return { status: answer.status, text: await answer.text() };
  };

  beforeAll(async () => {
    const made = await room.store.apiKeys.create(operator, { name: 'all', role: 'admin', expiresAt: null });
    ({ key } = made);
    moreCanaries['apiKey'] = key;
    roles = startPenstock(['start', '--roles', 'api,dispatcher'], {
      ...room.environment,
      PENSTOCK_API_PORT: '0',
    });
    await waitUntil('both roles have started', () => {
      url = /"url":"(http:[^"]+)"/.exec(roles.said.stderr)?.[1] ?? '';
      return url !== '' && roles.said.stderr.includes('dispatcher: started');
    });
    const { id: to } = await room.store.connections.fetch(room.scope, 'destination');
    await room.store.connections.update(room.scope, to, { password: room.password }, undefined);
    await room.destination.query(
      'create table synced.kept_out (id text primary key, email text constraint short check (length(email) < 17))',
    );
    const source = {
      connection: 'source',
      query: `select id, email from people where id <> '${canaries.sql}' and length(id) < 18`,
    };
    await room.addSync({
      name: 'kept_out',
      mode: 'upsert',
      key: ['id'],
      source,
      limits: { maxRejects: 9_999 },
    });
    const { id: sync } = await room.store.syncs.fetch(room.scope, 'kept_out');
    const { id } = JSON.parse((await call(`/v1/syncs/${sync}/trigger`, {})).text) as { id: string };
    await waitUntil('the run has succeeded, with rejects', async () => {
      const { text } = await call(`/v1/runs/${id}`);
      const { status, receipt, error } = JSON.parse(text) as Awaited<
        ReturnType<typeof room.store.runs.fetch>
      >;
      if (error) throw new Error(`${status}: ${error.code} ${error.message}`);
      return status === 'succeeded' && receipt!.rejected > 0;
    });
  });
  afterAll(async () => {
    roles?.process.kill('SIGTERM');
    await roles?.ended;
  });

  test('in any answer of the API, but for what a sync’s own spec and its rejects show', async () => {
    const { paths } = JSON.parse((await call('/openapi.json')).text) as { paths: Record<string, object> };
    const { items: syncs } = await room.store.syncs.list(room.scope, {}, { limit: 50 });
    const { items: runs } = await room.store.runs.list(room.scope, {}, { limit: 50 });
    const { items: connections } = await room.store.connections.list(room.scope, { limit: 50 });
    const refs: Record<string, readonly string[]> = {
      syncs: syncs.map(({ id }) => id),
      runs: runs.map(({ id }) => id),
      connections: connections.map(({ id }) => id),
      tenants: [room.scope.tenantId!],
    };
    const reads = Object.entries(paths).filter(([, methods]) => 'get' in methods);
    let answered = 0;
    for (const [path] of reads) {
      const noun = path.split('/')[2] ?? '';
      for (const ref of path.includes('{') ? (refs[noun] ?? []) : ['']) {
        const asked = path.replace(/\{\w+\}/, ref);
        const { status, text } = await call(asked);
        if (status === 200) answered += 1;
        if (status === 204) continue;
        const shown = noun === 'syncs' ? ['sql'] : [];
        expectNoCanary(asked, text, path.endsWith('/rejects') ? ['row', 'key', ...shown] : shown);
      }
    }
    // Each sync and each run has several routes, each of which has to have been there.
    expect(answered).toBeGreaterThan(3 * (syncs.length + runs.length));
    expect((await call('/v1/syncs/kept_out/rejects?tenantId=acme')).text).toContain(canaries.row);
  });

  test('in what a request gets that is wrong in every part, nor in what a refused trigger says', async () => {
    const refused = { status: 400 };
    for (const [path, body, answer] of [
      ['/v1/connections', { name: 'x', kind: 'postgres', host: 1, password: room.password }, refused],
      [
        '/v1/connections',
        { name: 'source', kind: 'postgres', password: room.password, user: room.password },
        refused,
      ],
      ['/v1/syncs/kept_out/plan', { source: { query: `select '${canaries.sql}' = = 1` } }, { ok: false }],
      ['/v1/syncs/kept_out/trigger', { requestKey: room.password, priority: room.password }, refused],
    ] as const) {
      const { text } = await call(path, body);
      expect(JSON.parse(text)).toMatchObject(answer);
      expectNoCanary(path, text);
    }
  });

  test('in Redis, in metrics, and in the logs of api, dispatcher and worker', async () => {
    expectNoCanary('redis', await readRedis());
    expectNoCanary('metrics', (await call('/metrics')).text);
    expectNoCanary('readiness', (await call('/readyz')).text);
    expectNoCanary('logs', roles.said.stderr);
    expectNoCanary('worker logs', await room.logs());
    expectNoCanary('control rows', await readControlRows());
  });

  test('in what Temporal keeps: histories, memos, search attributes, schedules', async () => {
    const { namespace } = room.temporal;
    const { executions } = await connection.workflowService.listWorkflowExecutions({
      namespace,
      pageSize: 100,
    });
    expect(executions.length).toBeGreaterThan(0);
    for (const { execution } of executions)
      expectNoCanary(execution!.workflowId!, await readHistory(execution!.workflowId!));
    const listed = proto.temporal.api.workflowservice.v1.ListWorkflowExecutionsResponse.encode({
      executions,
    });
    expectNoCanary('visibility', Buffer.from(listed.finish()).toString('latin1'));
    for (const job of maintenanceJobs) {
      const scheduleId = scheduleIdOf('penstock', job);
      const described = await connection.workflowService.describeSchedule({ namespace, scheduleId });
      expectNoCanary(scheduleId, JSON.stringify(described));
    }
  });
});
