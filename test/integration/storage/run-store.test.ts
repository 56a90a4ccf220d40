import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import { loadIdOf, newId, runIdOf, type RunId } from '../../../src/domain/ids.ts';
import { isFinal, runStatuses, type RunStatus } from '../../../src/domain/run-states.ts';
import { syncSpecSchema } from '../../../src/domain/sync-spec.ts';
import type { RunStore } from '../../../src/ports/run-store.ts';
import type { ConnectionLimits } from '../../../src/ports/schedule-index.ts';
import { passwordContext } from '../../../src/storage/connection-secret.ts';
import { createRunStore } from '../../../src/storage/run-store.ts';
import { fetchRun } from '../../../src/storage/run-rows.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import {
  createControlDatabase,
  plantTenant,
  type ControlDatabase,
  type PlantedTenant,
} from '../../support/control-database.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { aReceipt, plantRun } from '../../support/plant-run.ts';

const secretBox = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]);
const receipt = aReceipt({ read: 3, inserted: 2, updated: 1, batches: 1, bytes: 99 });

let database: ControlDatabase;
let pool: Pool;
let acme: PlantedTenant;
const cooled: ConnectionLimits[] = [];
let store: RunStore;
const released: RunId[] = [];
let indexFails: Error | undefined;
const { logger, lines } = createKeptLogger();

beforeAll(async () => {
  database = await createControlDatabase();
  pool = database.pool;
  acme = await plantTenant(pool, 'acme');
  const spec = syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection: acme.connectionId, query: 'select 1 as id' },
    destination: { connection: acme.connectionId, table: 'sync.subscribers' },
    mode: 'append',
    key: ['id'],
  });
  await pool.query('update penstock.sync_version set spec = $1', [spec]);
  await seal('hush');
  store = createRunStore({
    pool,
    secretBox,
    logger,
    announcer: {
      publishDue: async () => {},
      offerRuns: async () => {},
      releaseRuns: async (ids) => {
        if (indexFails) throw indexFails;
        released.push(...ids);
      },
      saveLimits: async ({ connections = [] }) => void cooled.push(...connections),
    },
  });
});
afterAll(() => database.drop());
beforeEach(async () => {
  released.length = 0;
  indexFails = undefined;
  await pool.query('truncate penstock.slot, penstock.run, penstock.run_attempt, penstock.event');
});

const seal = (password: string) =>
  pool.query('update penstock.connection_secret set sealed = $1', [
    secretBox.seal(password, passwordContext(acme.tenantId, acme.connectionId)),
  ]);

const plant = (status: RunStatus): Promise<RunId> =>
  plantRun(pool, acme.syncId, { status, ...(isFinal(status) && { ended_at: new Date(), receipt }) });

const fetchEvents = async (runId: RunId) =>
  (await pool.query('select kind, data from penstock.event where run_id = $1 order by id', [runId])).rows;

/** What each method makes of each status; a status that is missing stays. */
const changes: Record<string, [(id: RunId) => Promise<RunStatus>, Partial<Record<RunStatus, RunStatus>>]> = {
  prepare: [async (id) => (await store.prepare(id)).status, { starting: 'running', pausing: 'paused' }],
  settlePause: [(id) => store.settlePause(id), { pausing: 'paused' }],
  succeed: [
    (id) => store.succeed(id, receipt, []),
    {
      starting: 'succeeded',
      running: 'succeeded',
      pausing: 'succeeded',
      paused: 'succeeded',
      cancelling: 'succeeded',
    },
  ],
  fail: [
    (id) => store.fail(id, { code: 'SOURCE_SQL', message: 'no such column' }),
    { starting: 'failed', running: 'failed', pausing: 'failed', paused: 'failed' },
  ],
  settleCancel: [
    (id) => store.settleCancel(id),
    {
      starting: 'cancelled',
      running: 'cancelled',
      pausing: 'cancelled',
      paused: 'cancelled',
      cancelling: 'cancelled',
    },
  ],
};

describe('changes of a run', () => {
  const cases = Object.entries(changes).flatMap(([name, [, expected]]) =>
    runStatuses.map((from) => [name, from, expected[from] ?? from] as const),
  );
  test.each(cases)('%s of a run that is %s leaves it %s, also when repeated', async (name, from, to) => {
    const change = changes[name]![0];
    const id = await plant(from);
    expect(await change(id)).toBe(to);
    const events = await fetchEvents(id);
    expect(events).toEqual(
      to === from ? [] : [{ kind: `run.${to}`, data: expect.objectContaining({ from }) }],
    );
    expect(await change(id)).toBe(changes[name]![1][to] ?? to);
    expect(await fetchEvents(id)).toEqual(events);
  });

  test('only a run that is paused or final gives its places back', async () => {
    const [running, final] = [await plant('running'), await plant('succeeded')];
    await store.settlePause(running);
    await store.settlePause(final);
    expect(released).toEqual([final]);
  });

  test('an index that fails undoes nothing: the change is committed and the log says so', async () => {
    indexFails = new Error('a defect');
    const id = await plant('running');
    expect(await store.succeed(id, receipt, [])).toBe('succeeded');
    expect(lines.at(-1)).toContain('the index did not hear of a change');
  });

  test('an index that is away is told of by its connection, not by every run that ends', async () => {
    indexFails = new PenstockError('UNAVAILABLE', 'Redis did not answer');
    const told = lines.length;
    expect(await store.succeed(await plant('running'), receipt, [])).toBe('succeeded');
    expect(lines.slice(told).filter((line) => !line.includes(`"level":"debug"`))).toEqual([]);
  });

  test('success keeps the receipt and its loads, failure the code and message', async () => {
    const good = await plant('running');
    const load = loadIdOf(good, 0);
    await store.succeed(good, receipt, [load]);
    const bad = await plant('running');
    await store.fail(bad, { code: 'SOURCE_SQL', message: 'no such column' });
    const { rows } = await pool.query(
      'select receipt, load_ids, error_code, error_message, ended_at is not null as ended from penstock.run order by status desc',
    );
    expect(rows).toEqual([
      { receipt, load_ids: [load], error_code: null, error_message: null, ended: true },
      { receipt: null, load_ids: [], error_code: 'SOURCE_SQL', error_message: 'no such column', ended: true },
    ]);
  });

  test('a receipt that does not add up is refused by the database', async () => {
    const id = await plant('running');
    await expect(store.succeed(id, { ...receipt, inserted: 1 }, [])).rejects.toMatchObject({
      constraint: 'run_receipt_adds_up',
    });
    expect((await store.fetchWork(id)).status).toBe('running');
  });

  test('a run that does not exist is NOT_FOUND', async () => {
    const unknown = runIdOf(acme.syncId, 'manual', 'unknown');
    for (const call of [
      () => store.prepare(unknown),
      () => store.fetchWork(unknown),
      () => store.settleCancel(unknown),
    ])
      await expect(call()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('the work of a run', () => {
  test('has its spec and both connections with the opened password', async () => {
    const id = await plant('starting');
    expect(await store.prepare(id)).toMatchObject({
      runId: id,
      tenantName: 'acme',
      syncName: 'subscribers',
      syncVersion: 1,
      status: 'running',
      spec: { mode: 'append', key: ['id'] },
      source: { connectionId: acme.connectionId, host: 'db', port: 5432, password: 'hush' },
      destination: { password: 'hush' },
    });
  });

  test('keeps the connection’s version that the first prepare saw, but reads the newest secret', async () => {
    const id = await plant('starting');
    await store.prepare(id);
    await pool.query(
      `insert into penstock.connection_version (connection_id, version, tenant_id, settings)
       select connection_id, 2, tenant_id, settings || '{"host": "new"}' from penstock.connection_version`,
    );
    await pool.query('update penstock.connection set version = 2');
    await seal('hush2');
    expect((await store.prepare(id)).source).toMatchObject({ host: 'db', password: 'hush2' });
    await store.settleCancel(id);
    const next = await plant('starting');
    expect((await store.prepare(next)).source).toMatchObject({ host: 'new', password: 'hush2' });
  });

  test('on an operator’s connection needs the grant and takes its database role', async () => {
    const shared = newId('connection');
    await pool.query(
      `insert into penstock.connection (id, tenant_id, name, kind) values ($1, null, 'app-db', 'postgres')`,
      [shared],
    );
    await pool.query(
      `insert into penstock.connection_version (connection_id, version, settings) values ($1, 1, '{"host": "app"}')`,
      [shared],
    );
    await pool.query('insert into penstock.connection_secret (connection_id, sealed) values ($1, $2)', [
      shared,
      secretBox.seal('ours', passwordContext(null, shared)),
    ]);
    await pool.query(
      `insert into penstock.sync_version (sync_id, version, tenant_id, spec)
       select sync_id, 2, tenant_id, jsonb_set(spec, '{destination,connection}', to_jsonb($1::text))
       from penstock.sync_version`,
      [shared],
    );
    const id = await plant('starting');
    await pool.query('update penstock.run set sync_version = 2');
    await expect(store.prepare(id)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    await pool.query('insert into penstock.connection_grant values ($1, $2, $3, $4)', [
      shared,
      acme.tenantId,
      'sync.*',
      'acme_writer',
    ]);
    expect((await store.prepare(id)).destination).toMatchObject({
      host: 'app',
      password: 'ours',
      tenantId: acme.tenantId,
      databaseRole: 'acme_writer',
    });
  });
});

describe('attempts', () => {
  const counts = { rows: 10, bytes: 100, batches: 1 };
  const fetchAttempts = async () =>
    (
      await pool.query(
        'select partition, epoch, rows, batches, outcome, error_code from penstock.run_attempt',
      )
    ).rows;

  test('are recorded once, never count backwards and keep their first end', async () => {
    const runId = await plant('running');
    const attempt = { runId, partition: 1, epoch: '9007199254740993' };
    await store.beginAttempt({ ...attempt, worker: 'w1' });
    await store.beginAttempt({ ...attempt, worker: 'w1' });
    await store.reportAttempt(attempt, { ...counts, rows: 20 }, null);
    await store.reportAttempt(attempt, counts, null);
    expect(await fetchAttempts()).toMatchObject([{ rows: '20', outcome: null }]);
    await store.endAttempt(attempt, {
      ...counts,
      rows: 30,
      outcome: 'failed',
      error: { code: 'SOURCE_INTERRUPTED', class: 'transient', message: 'x'.repeat(5_000) },
    });
    await store.endAttempt(attempt, { ...counts, outcome: 'finished' });
    await store.reportAttempt(attempt, { ...counts, rows: 99 }, null);
    expect(await fetchAttempts()).toEqual([
      {
        partition: 1,
        epoch: '9007199254740993',
        rows: '30',
        batches: 1,
        outcome: 'failed',
        error_code: 'SOURCE_INTERRUPTED',
      },
    ]);
  });

  test('of a run that is final are not recorded', async () => {
    const runId = await plant('cancelled');
    const { work } = await store.beginAttempt({ runId, partition: 1, epoch: '1', worker: 'w1' });
    expect(work.status).toBe('cancelled');
    expect(await fetchAttempts()).toEqual([]);
  });

  test('that report move their run, so that the sweep leaves it alone', async () => {
    const runId = await plant('running');
    await pool.query(`update penstock.run set moved_at = '2026-01-01'`);
    const attempt = { runId, partition: 1, epoch: '1' };
    await store.beginAttempt({ ...attempt, worker: 'w1' });
    await store.reportAttempt(attempt, counts, null);
    const { rows } = await pool.query(`select moved_at > '2026-01-01' as moved from penstock.run`);
    expect(rows).toEqual([{ moved: true }]);
  });
});

describe('what a run fails with and tries again', () => {
  const failure = { code: 'SOURCE_UNREACHABLE', message: 'refused' } as const;
  const attempt = (runId: RunId, partition: number, epoch: string) => ({ runId, partition, epoch });
  const noProgress = { rows: 0, bytes: 0, batches: 0 };
  const failed = (batches: number) =>
    ({
      ...noProgress,
      batches,
      outcome: 'failed',
      error: { ...failure, class: 'transient' },
    }) as const;
  async function shown(runId: RunId) {
    const { retry } = await asEngine(pool, (tx) => fetchRun(tx, runId));
    return retry && [retry.step, retry.times, Date.parse(retry.nextAt) - Date.parse(retry.since)];
  }

  test('is counted by the step, with the time of the next try', async () => {
    const runId = await plant('running');
    await store.noteRetry(runId, 'prepare', failure);
    expect(await asEngine(pool, (tx) => fetchRun(tx, runId))).toMatchObject({
      retry: { ...failure, step: 'prepare', times: 1 },
    });
    expect(await shown(runId)).toEqual(['prepare', 1, 1_000]);
    await store.noteRetry(runId, 'prepare', failure);
    expect((await shown(runId))?.slice(0, 2)).toEqual(['prepare', 2]);
    await store.noteRetry(runId, 'finish', failure);
    expect(await shown(runId)).toEqual(['finish', 1, 1_000]);
  });

  test('is over when copying begins, or the run is another', async () => {
    const runId = await plant('running');
    await store.noteRetry(runId, 'prepare', failure);
    await store.prepare(runId);
    expect(await shown(runId)).not.toBeNull();
    await store.beginAttempt({ ...attempt(runId, 1, '1'), worker: 'w1' });
    expect(await shown(runId)).toBeNull();
    await store.noteRetry(runId, 'finish', failure);
    await store.fail(runId, failure);
    expect(await shown(runId)).toBeNull();
    await store.noteRetry(runId, 'close', failure);
    expect(await shown(runId)).toBeNull();
  });

  test('of a partition is over when that partition gets further, and counted anew when it fails after that', async () => {
    const runId = await plant('running');
    for (const [partition, epoch] of [
      [1, '1'],
      [2, '1'],
      [1, '2'],
      [1, '3'],
    ] as const)
      await store.beginAttempt({ ...attempt(runId, partition, epoch), worker: 'w1' });
    await store.endAttempt(attempt(runId, 1, '1'), failed(0));
    expect((await shown(runId))?.slice(0, 2)).toEqual(['partition 1', 1]);
    await store.reportAttempt(attempt(runId, 2, '1'), { ...noProgress, batches: 1 }, null);
    await store.reportAttempt(attempt(runId, 1, '2'), noProgress, null);
    expect((await shown(runId))?.slice(0, 2)).toEqual(['partition 1', 1]);
    await store.endAttempt(attempt(runId, 1, '2'), failed(0));
    expect((await shown(runId))?.slice(0, 2)).toEqual(['partition 1', 2]);
    await store.reportAttempt(attempt(runId, 1, '3'), { ...noProgress, batches: 1 }, null);
    expect(await shown(runId)).toBeNull();
    await store.endAttempt(attempt(runId, 1, '3'), failed(1));
    expect((await shown(runId))?.slice(0, 2)).toEqual(['partition 1', 1]);
  });
});

test('an attempt whose source asks for less cools the source down', async () => {
  cooled.length = 0;
  const runId = await plant('running');
  const error = { class: 'transient' as const, message: 'too many connections' };
  const counts = { rows: 0, bytes: 0, batches: 0 };
  for (const [epoch, code] of [
    ['1', 'SOURCE_UNREACHABLE'],
    ['2', 'SOURCE_THROTTLED'],
  ] as const) {
    const attempt = { runId, partition: 0, epoch };
    await store.beginAttempt({ ...attempt, worker: 'w' });
    await store.endAttempt(attempt, { outcome: 'failed', ...counts, error: { ...error, code } });
  }
  expect(cooled).toMatchObject([{ connectionId: acme.connectionId, version: 2, maxRuns: 4, startGapMs: 0 }]);
  expect(cooled[0]!.coolMs).toBeGreaterThan(50_000);
  const { rows } = await pool.query(
    'select cool_until > clock_timestamp() as cools from penstock.connection where id = $1',
    [acme.connectionId],
  );
  expect(rows).toEqual([{ cools: true }]);
});

test('a look at a run that is asked for while a dispatcher looks comes after it, whatever that one finds', async () => {
  const sweeps = createScheduleStore(pool);
  const id = await plant('running');
  const fetchLooks = () => sweeps.fetchSilentRuns(3_600_000);
  const step = {
    step: 'copy',
    activityId: '2',
    by: 'ops',
    reason: '',
    since: new Date().toISOString(),
  } as const;
  for (const found of [[], [step]]) {
    await store.askForLook(id);
    const [look] = await fetchLooks();
    await store.askForLook(id);
    await sweeps.noteSeen(look!, found);
    const [next] = await fetchLooks();
    expect(next).toMatchObject({ runId: id, status: 'running' });
    await sweeps.noteSeen(next!, found);
    expect(await fetchLooks()).toEqual([]);
  }
});

test('a source that asks for less already when a run is prepared cools down', async () => {
  cooled.length = 0;
  const runId = await plant('running');
  for (const code of ['SOURCE_UNREACHABLE', 'SOURCE_THROTTLED'] as const)
    await store.noteRetry(runId, 'prepare', { code, message: 'too many connections' });
  expect(cooled).toMatchObject([{ connectionId: acme.connectionId }]);
  expect(cooled[0]!.coolMs).toBeGreaterThan(50_000);
});
