/** A connection's read rate among the attempts that read from it, divided by the control database. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import { newId, runIdOf, type RunId } from '../../../src/domain/ids.ts';
import { shareLastsMs, type ReadRate } from '../../../src/domain/read-rate.ts';
import type { AttemptKey, RunStore } from '../../../src/ports/run-store.ts';
import { passwordContext } from '../../../src/storage/connection-secret.ts';
import { fetchPace } from '../../../src/storage/read-share.ts';
import { listAttempts } from '../../../src/storage/run-attempts.ts';
import { createRunStore } from '../../../src/storage/run-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { asTenant } from '../../../src/storage/transaction.ts';
import type { Adapters } from '../../../src/workers/adapters.ts';
import { createSyncExaminer } from '../../../src/workers/sync-examiner.ts';
import {
  createControlDatabase,
  plantTenant,
  type ControlDatabase,
  type PlantedTenant,
} from '../../support/control-database.ts';
import { aSpec } from '../../support/control-fixture.ts';
import { createFakeSource } from '../../support/fake-source.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { waitUntil } from '../../support/wait-until.ts';

const secretBox = createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]);
let database: ControlDatabase;
let pool: Pool;
let acme: PlantedTenant;
let globex: PlantedTenant;
let store: RunStore;
beforeAll(async () => {
  database = await createControlDatabase();
  pool = database.pool;
  [acme, globex] = [await plantTenant(pool, 'acme'), await plantTenant(pool, 'globex')];
  for (const { tenantId, connectionId } of [acme, globex])
    await pool.query('update penstock.connection_secret set sealed = $2 where connection_id = $1', [
      connectionId,
      secretBox.seal('hush', passwordContext(tenantId, connectionId)),
    ]);
  store = createRunStore({
    pool,
    secretBox,
    logger: createKeptLogger().logger,
    announcer: {
      publishDue: async () => {},
      offerRuns: async () => {},
      releaseRuns: async () => {},
      saveLimits: async () => {},
    },
  });
});
afterAll(() => database.drop());
beforeEach(async () => {
  await pool.query('truncate penstock.run_attempt, penstock.slot, penstock.run, penstock.event');
  await limit({ rowsPerSecond: 100, bytesPerSecond: null });
});

const limit = ({ rowsPerSecond, bytesPerSecond }: ReadRate, of = acme) =>
  pool.query('update penstock.connection set rows_per_second = $2, bytes_per_second = $3 where id = $1', [
    of.connectionId,
    rowsPerSecond,
    bytesPerSecond,
  ]);
const unlimited: ReadRate = { rowsPerSecond: null, bytesPerSecond: null };
const rows = (rowsPerSecond: number): ReadRate => ({ rowsPerSecond, bytesPerSecond: null });

/** A run at work, of a sync of its own. */
async function plantRun(of = acme): Promise<RunId> {
  const syncId = newId('sync');
  const id = runIdOf(syncId, 'manual', '1');
  const end = { connection: of.connectionId };
  await pool.query(
    `with sync as (
       insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id)
       values ($1, $2, $1, $3, $3) returning id
     ), version as (
       insert into penstock.sync_version (sync_id, version, tenant_id, spec) select id, 1, $2, $5 from sync
     )
     insert into penstock.run (id, tenant_id, sync_id, sync_version, source_connection_id, origin, priority, due_at,
       workflow_id, status)
     select $4, $2, id, 1, $3, 'manual', 3, '2026-01-01', $4, 'running' from sync`,
    [syncId, of.tenantId, of.connectionId, id, { source: end, destination: end }],
  );
  return id;
}

const nothing = { rows: 0, bytes: 0, batches: 0 };

/** An attempt as its worker sees it. */
interface Reader {
  key: AttemptKey;
  share: ReadRate | null;
  report(): Promise<ReadRate | null>;
  /** Reports, and never hears the answer. */
  reportUnheard(): Promise<void>;
  end(): Promise<void>;
}

async function begin(runId: RunId, partition = 1): Promise<Reader> {
  const key = { runId, partition, epoch: '9007199254740993' };
  const reader: Reader = {
    key,
    share: (await store.beginAttempt({ ...key, worker: 'w' })).share,
    report: async () => (reader.share = await store.reportAttempt(key, nothing, reader.share)),
    reportUnheard: async () => void (await store.reportAttempt(key, nothing, reader.share)),
    end: () => store.endAttempt(key, { ...nothing, outcome: 'finished' }),
  };
  return reader;
}

const inUse = (readers: readonly Reader[]): number =>
  readers.reduce((sum, { share }) => sum + (share?.rowsPerSecond ?? 0), 0);

/** The attempt was last heard of longer ago than a share lasts. */
const silence = ({ key }: Reader) =>
  pool.query(
    `update penstock.run_attempt set heard_at = heard_at - $2 * interval '1 ms' where run_id = $1 and partition = $3`,
    [key.runId, shareLastsMs, key.partition],
  );

describe('attempts at a connection', () => {
  test('share its rate, whatever run and partition they are of, as each reports', async () => {
    const first = await begin(await plantRun());
    expect(first.share).toEqual(rows(100));
    const run = await plantRun();
    const others = [await begin(run, 1), await begin(run, 2)];
    expect(others.map(({ share }) => share)).toEqual([rows(0), rows(0)]);
    const all = [first, ...others];
    for (let round = 0; round < 3; round++) for (const reader of all) await reader.report();
    for (const { share } of all) expect(share!.rowsPerSecond).toBeCloseTo(100 / 3);
    await others[1]!.end();
    await others[0]!.report();
    await first.report();
    expect([first.share, others[0]!.share]).toEqual([rows(50), rows(50)]);
  });

  test('have of rows and of bytes their part each', async () => {
    await limit({ rowsPerSecond: 10, bytesPerSecond: 4_000_000_000 });
    const [one, two] = [await begin(await plantRun()), await begin(await plantRun())];
    expect(one.share).toEqual({ rowsPerSecond: 10, bytesPerSecond: 4_000_000_000 });
    await one.report();
    await one.report();
    expect(await two.report()).toEqual({ rowsPerSecond: 5, bytesPerSecond: 2_000_000_000 });
  });

  test('do not count for another one, and read at any rate where there is no limit', async () => {
    const [paced, free] = [await begin(await plantRun()), await begin(await plantRun(globex))];
    expect([paced.share, free.share]).toEqual([rows(100), null]);
    expect([await paced.report(), await free.report()]).toEqual([rows(100), null]);
  });

  test('give up nothing that one may go on using: its answer may be lost', async () => {
    const [one, two] = [await begin(await plantRun()), await begin(await plantRun())];
    await one.reportUnheard();
    await one.reportUnheard();
    expect(await two.report()).toEqual(rows(0));
    await one.report();
    expect(await two.report()).toEqual(rows(0));
    await one.report();
    expect(await two.report()).toEqual(rows(50));
  });

  test('that begin at once are counted one after the other', async () => {
    const runs = [await plantRun(), await plantRun()];
    const holder = await pool.connect();
    await holder.query('begin');
    await holder.query('select from penstock.connection where id = $1 for update', [acme.connectionId]);
    const beginning = Promise.all(runs.map((run) => begin(run)));
    await waitUntil('both wait for the connection', async () => {
      const waiting = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      return (await pool.query(waiting)).rowCount === 2;
    });
    await holder.query('commit');
    holder.release();
    expect(inUse(await beginning)).toBe(100);
  });

  test('that report at once never use more than the limit together', async () => {
    const readers = await Promise.all(Array.from({ length: 6 }, async () => begin(await plantRun())));
    for (let round = 0; round < 4; round++)
      await Promise.all(
        readers.map(async (reader) => {
          await reader.report();
          expect(inUse(readers)).toBeLessThanOrEqual(100 + 1e-9);
        }),
      );
    expect(inUse(readers)).toBeCloseTo(100);
  });

  test('that end have what they had free for the others at once, and get nothing afterwards', async () => {
    const [one, two] = [await begin(await plantRun()), await begin(await plantRun())];
    await one.end();
    expect(await two.report()).toEqual(rows(100));
    await one.report();
    expect(await two.report()).toEqual(rows(100));
  });

  test('that are frozen or dead lose their share when it has lapsed, and get a new one if they wake', async () => {
    const [dead, other] = [await begin(await plantRun()), await begin(await plantRun())];
    expect(await other.report()).toEqual(rows(0));
    await silence(dead);
    expect(await other.report()).toEqual(rows(100));
    // its own share has lapsed: it uses nothing until it hears of another
    dead.share = rows(0);
    expect(await dead.report()).toEqual(rows(0));
  });
});

describe('a limit', () => {
  test('that changes holds from the next report on', async () => {
    const [one, two] = [await begin(await plantRun()), await begin(await plantRun())];
    await limit(rows(10));
    for (let round = 0; round < 2; round++) for (const reader of [one, two]) await reader.report();
    expect([one.share, two.share]).toEqual([rows(5), rows(5)]);
    await limit(rows(1_000));
    expect(await one.report()).toEqual(rows(500));
    expect(await two.report()).toEqual(rows(500));
  });

  test('that is removed or set does so, too', async () => {
    const reader = await begin(await plantRun());
    await limit(unlimited);
    expect(await reader.report()).toBeNull();
    expect(await reader.report()).toBeNull();
    await limit({ rowsPerSecond: null, bytesPerSecond: 5_000 });
    expect(await reader.report()).toEqual({ rowsPerSecond: null, bytesPerSecond: 5_000 });
  });
});

test('a plan says so', async () => {
  const [source, refusals] = [acme.connectionId, []];
  const columns = [{ name: 'id', typeOid: 23, typeName: 'integer' }];
  const table = { query: 'q', columns, rows: [] };
  const adapters = { openSource: () => createFakeSource(table) } as unknown as Adapters;
  const examiner = createSyncExaminer({ pool, secretBox, adapters });
  const spec = aSpec({ source: { connection: source, query: 'q' } });
  const plan = () =>
    examiner.plan({ id: null, tenantId: acme.tenantId, spec, source, destination: null, refusals });
  await limit(rows(10));
  expect((await plan()).warnings).toContain(
    'The connection warehouse is read at 10 rows a second, by all runs together.',
  );
  await limit(unlimited);
  expect((await plan()).warnings).toEqual([]);
});

test('a run says what it may read, of what, and among how many', async () => {
  const run = await plantRun();
  const [one, two] = [await begin(run, 1), await begin(run, 2)];
  await begin(await plantRun());
  const paceOf = (of: PlantedTenant) => asTenant(pool, of.tenantId, (tx) => fetchPace(tx, run));
  expect(await paceOf(acme)).toEqual({
    connection: 'warehouse',
    limit: rows(100),
    attempts: 3,
    share: rows(100),
  });
  expect(await paceOf(globex)).toBeNull();
  const { items } = await asTenant(pool, acme.tenantId, (tx) => listAttempts(tx, run, { limit: 10 }));
  expect(items.map(({ partition, share }) => [partition, share])).toEqual([
    [2, rows(0)],
    [1, rows(100)],
  ]);
  await one.end();
  await silence(two);
  expect(await paceOf(acme)).toBeNull();
});
