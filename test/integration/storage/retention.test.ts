/** What the control database forgets, and what it keeps whatever its age. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Pool } from 'pg';
import { newId, type RunId } from '../../../src/domain/ids.ts';
import { keptDays } from '../../../src/domain/retention.ts';
import { isFinal, runStatuses, type RunStatus } from '../../../src/domain/run-states.ts';
import type { MaintenanceStore } from '../../../src/ports/maintenance-store.ts';
import { createMaintenanceStore } from '../../../src/storage/maintenance-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import {
  createControlDatabase,
  plantTenant,
  type ControlDatabase,
  type PlantedTenant,
} from '../../support/control-database.ts';
import { plantRun } from '../../support/plant-run.ts';

let database: ControlDatabase;
let pool: Pool;
let acme: PlantedTenant;
let store: MaintenanceStore;
beforeAll(async () => {
  database = await createControlDatabase();
  pool = database.pool;
  acme = await plantTenant(pool, 'acme');
  store = createMaintenanceStore(pool, createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]));
});
afterAll(() => database.drop());
beforeEach(async () => {
  await pool.query(
    'truncate penstock.run, penstock.slot, penstock.run_attempt, penstock.joined_trigger, penstock.event, penstock.audit, penstock.idempotency_key',
  );
});

const daysAgo = (days: number): Date => new Date(Date.now() - days * 86_400_000);

/** A run that was queued and, unless it is open, ended so many days ago, with all that hangs from it. */
async function plantOldRun(days: number, status: RunStatus = 'failed'): Promise<RunId> {
  const at = daysAgo(days);
  const id = await plantRun(pool, acme.syncId, {
    status,
    origin: 'schedule',
    nominal_at: at,
    due_at: at,
    queued_at: at,
    started_at: at,
    ended_at: isFinal(status) ? at : null,
    overlap_allowed: true,
  });
  await pool.query(
    `insert into penstock.slot (sync_id, nominal_at, nominal_to, tenant_id, sync_version, run_id)
     values ($1, $2, $2, $3, 1, $4)`,
    [acme.syncId, at, acme.tenantId, id],
  );
  await pool.query(
    `insert into penstock.run_attempt (run_id, partition, epoch, tenant_id, worker) values ($1, 1, 1, $2, 'w')`,
    [id, acme.tenantId],
  );
  await pool.query(
    `insert into penstock.joined_trigger (sync_id, request_key, tenant_id, run_id) values ($1, $2, $3, $2)`,
    [acme.syncId, id, acme.tenantId],
  );
  return id;
}

const idsIn = async (table: string, column = 'run_id'): Promise<string[]> =>
  (await pool.query<{ id: string }>(`select ${column} as id from penstock.${table} order by 1`)).rows.map(
    ({ id }) => id,
  );

async function forgetAll(step: (after: string) => Promise<{ tally: object; next?: string }>) {
  const tallies: object[] = [];
  for (let after: string | undefined = ''; after !== undefined;) {
    const { tally, next } = await step(after);
    tallies.push(tally);
    after = next;
  }
  return tallies;
}

describe('runs', () => {
  test('are forgotten whole, so many days after their end; younger ones and open ones stay whole', async () => {
    await plantOldRun(keptDays.runs + 1);
    await plantOldRun(keptDays.runs + 2, 'cancelled');
    const kept = [await plantOldRun(keptDays.runs - 1), await plantOldRun(1)];
    for (const status of runStatuses.filter((each) => !isFinal(each)))
      kept.push(await plantOldRun(1_000 + kept.length, status));
    await forgetAll((after) => store.forgetRuns(after));
    expect(await idsIn('run', 'id')).toEqual(kept.toSorted());
    for (const table of ['slot', 'run_attempt', 'joined_trigger'])
      expect(await idsIn(table)).toEqual(kept.toSorted());
  });

  test('that waited long and ended lately stay', async () => {
    const id = await plantOldRun(keptDays.runs + 10);
    await pool.query('update penstock.run set ended_at = now() where id = $1', [id]);
    await forgetAll((after) => store.forgetRuns(after));
    expect(await idsIn('run', 'id')).toEqual([id]);
  });

  test('that somebody holds wait for the next time, and hold up no other', async () => {
    const held = await plantOldRun(keptDays.runs + 1);
    await plantOldRun(keptDays.runs + 2);
    const client = await pool.connect();
    await client.query('begin');
    await client.query('select from penstock.run where id = $1 for update', [held]);
    await forgetAll((after) => store.forgetRuns(after));
    await client.query('rollback');
    client.release();
    expect(await idsIn('run', 'id')).toEqual([held]);
  });

  test('of many syncs are found page by page, many of one in several transactions', async () => {
    const many = await plantTenant(pool, 'many');
    await pool.query(
      `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id)
       select 'syn_' || i, $1, 's' || i, $2, $2 from generate_series(1, 1200) i`,
      [many.tenantId, many.connectionId],
    );
    await pool.query(
      `insert into penstock.slot (sync_id, nominal_at, nominal_to, tenant_id, sync_version, outcome)
       select 'syn_1', $2::timestamptz + i * interval '1 s', $2::timestamptz + i * interval '1 s', $1, 1, 'missed'
       from generate_series(1, 4500) i
       union all select 'syn_1200', $2, $2, $1, 1, 'missed'
       union all select 'syn_1200', $2::timestamptz + interval '1 s', now(), $1, 1, 'skipped_paused'`,
      [many.tenantId, daysAgo(keptDays.runs + 1)],
    );
    const tallies = await forgetAll((after) => store.forgetRuns(after));
    expect(tallies.map((tally) => (tally as { slots: number }).slots)).toEqual([2_000, 2_000, 501, 0, 0]);
    // The row that goes on until today stands for a slot of today.
    expect(await idsIn('slot', 'outcome')).toEqual(['skipped_paused']);
    await pool.query(`delete from penstock.slot where tenant_id = $1`, [many.tenantId]);
    await pool.query(`delete from penstock.sync where id like 'syn\\_1%' and tenant_id = $1`, [
      many.tenantId,
    ]);
  });
});

test('backfills are forgotten so many days after their end, open ones never', async () => {
  for (const [id, days, status] of [
    ['bkf_old', keptDays.runs + 1, 'failed'],
    ['bkf_young', 1, 'failed'],
    ['bkf_open', 1_000, 'running'],
  ] as const)
    await pool.query(
      `insert into penstock.backfill (id, tenant_id, sync_id, request_key, window_from, window_to, parts, status, ended_at)
       values ($1, $2, $3, $1, '1', '2', 1, $4::text, case when $4 <> 'running' then $5::timestamptz end)`,
      [id, acme.tenantId, acme.syncId, status, daysAgo(days)],
    );
  await forgetAll((after) => store.forgetRuns(after));
  expect(await idsIn('backfill', 'id')).toEqual(['bkf_open', 'bkf_young']);
});

describe('events, audit rows and stored answers', () => {
  const plant = (table: 'event' | 'audit', days: number, count: number) =>
    pool.query(
      table === 'event'
        ? `insert into penstock.event (tenant_id, at, kind) select $1, $2, 'x' from generate_series(1, $3)`
        : `insert into penstock.audit (tenant_id, at, action, object_id) select $1, $2, 'x', 'y' from generate_series(1, $3)`,
      [acme.tenantId, daysAgo(days), count],
    );

  test('are forgotten after their own time, a bounded number a transaction', async () => {
    await plant('event', keptDays.events + 1, 4_500);
    await plant('event', keptDays.events - 1, 3);
    await plant('audit', keptDays.audit + 1, 5);
    await plant('audit', keptDays.audit - 1, 7);
    await pool.query(
      `insert into penstock.idempotency_key (api_key_id, key, request_hash, created_at)
       values ('k', 'old', '', $1), ('k', 'new', '', now())`,
      [daysAgo(keptDays.answers + 1)],
    );
    expect(await forgetAll(() => store.forgetLogs())).toEqual([
      { events: 2_000, audit: 5, answers: 1 },
      { events: 2_000, audit: 0, answers: 0 },
      { events: 500, audit: 0, answers: 0 },
    ]);
    expect([(await idsIn('event', 'id')).length, (await idsIn('audit', 'id')).length]).toEqual([3, 7]);
    expect(await idsIn('idempotency_key', 'key')).toEqual(['new']);
  });

  test('are deleted by the engine alone', async () => {
    const { rows } = await pool.query(
      `select grantee, table_name from information_schema.role_table_grants
       where table_schema = 'penstock' and privilege_type = 'DELETE' and table_name in ('run', 'event', 'audit', 'slot')
         and grantee in ('penstock_api', 'penstock_operator')`,
    );
    expect(rows).toEqual([]);
  });
});

test('destinations, and what went into one, are found by index, not by reading all versions', async () => {
  const plans: string[] = [];
  const client = await pool.connect();
  const explaining = {
    on: () => {},
    off: () => {},
    release: () => {},
    query: async (text: string, values?: unknown[]) => {
      if (text.includes('sync_version')) {
        await client.query('set local enable_seqscan = off');
        const { rows } = await client.query<{ 'QUERY PLAN': string }>(`explain ${text}`, values);
        plans.push(rows.map((row) => row['QUERY PLAN']).join('\n'));
      }
      return client.query(text, values);
    },
  };
  const explained = createMaintenanceStore(
    { connect: async () => explaining } as unknown as Pool,
    createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]),
  );
  try {
    await explained.listDestinations('');
    await explained.listReceipts(acme.connectionId);
  } finally {
    client.release();
  }
  const byIndex = expect.stringMatching(/sync_version_by_destination.*\n\s+Index Cond: .*destination/);
  expect(plans).toEqual([byIndex, byIndex]);
});

test("a destination accuses only runs that write to it, and hides no one else's finding", async () => {
  await pool.query(
    `insert into penstock.sync_version (sync_id, version, tenant_id, spec) values ($1, 2, $2, $3)`,
    [acme.syncId, acme.tenantId, { destination: { connection: acme.connectionId } }],
  );
  const run = await plantOldRun(1);
  await pool.query('update penstock.run set sync_version = 2');
  const found = { invariant: 'receipt_adds_up' as const, object: run };
  await store.noteEnd('audit', {}, [{ ...found, destination: newId('connection') }]);
  const accused = async () =>
    (await pool.query('select tenant_id as tenant, run_id as run from penstock.event order by id')).rows;
  expect(await accused()).toEqual([{ tenant: null, run: null }]);
  for (let times = 0; times < 2; times += 1)
    await store.noteEnd('audit', {}, [{ ...found, destination: acme.connectionId }]);
  expect((await accused()).slice(1)).toEqual([{ tenant: acme.tenantId, run }]);
});
