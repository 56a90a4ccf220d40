/** What is looked for again and again reads few rows, however many have gathered around it: counted by Postgres, not timed. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RunId, SyncId, TenantId } from '../../../src/domain/ids.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { Sync } from '../../../src/ports/sync-store.ts';
import { startRuns } from '../../../src/storage/admit.ts';
import { endPauses, openPause } from '../../../src/storage/pauses.ts';
import { fetchWaitingOffers } from '../../../src/storage/run-offers.ts';
import { changeRuns } from '../../../src/storage/run-status.ts';
import { settle } from '../../../src/storage/settle.ts';
import { dropMissedRuns, fetchDueRuns } from '../../../src/storage/sweep-queries.ts';
import { fetchSync } from '../../../src/storage/sync-rows.ts';
import { asEngine, asTenant, type Tx } from '../../../src/storage/transaction.ts';
import { aSpec, createControlFixture, type ControlFixture } from '../../support/control-fixture.ts';
import { plantRun } from '../../support/plant-run.ts';

let fixture: ControlFixture;
let acme: Scope & { tenantId: TenantId };
beforeAll(async () => {
  fixture = await createControlFixture();
  acme = await fixture.addTenant('acme');
});
afterAll(() => fixture.drop());

/** Rows of the table that Postgres has read for the work, by index or one after the other. */
async function rowsRead(tx: Tx, table: 'pause' | 'run', work: () => Promise<unknown>): Promise<number> {
  const count = async (): Promise<number> => {
    const { rows } = await tx.query<{ read: number }>(
      `select (seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as read from pg_stat_xact_user_tables
       where schemaname = 'penstock' and relname = $1`,
      [table],
    );
    return rows[0]!.read;
  };
  // Tables as small as these are better read whole; to read them by an index is what is asked for here.
  await tx.query('set local enable_seqscan = off');
  const before = await count();
  await work();
  return (await count()) - before;
}
/** What the planner knows of the table is what is there now. */
const analyze = (table: 'pause' | 'run') => fixture.pool.query(`analyze penstock.${table}`);

describe('pauses that are over are not read', () => {
  let sync: Sync;
  let runId: RunId;
  beforeAll(async () => {
    sync = await fixture.store.syncs.create(
      acme,
      aSpec({ name: 'often-paused', schedule: { every: '1m' }, autoPause: { after: 1 } }),
    );
    await fixture.pool.query(
      `insert into penstock.pause (id, tenant_id, sync_id, from_at, until_at)
       select 'pau_' || gen_random_uuid(), tenant, sync, at, at + interval '1 minute'
       from (values ($1, $2), ($1, null), (null, null)) paused (tenant, sync),
         lateral (select now() - n * interval '1 hour' as at from generate_series(1, 400) n) past`,
      [acme.tenantId, sync.id],
    );
    await analyze('pause');
  });
  const looks: [string, { by: 'engine' | 'tenant'; look: (tx: Tx) => Promise<unknown> }][] = [
    ['a due time is settled', { by: 'engine', look: (tx) => settle(tx, [sync.id]) }],
    ['it is settled for its tenant', { by: 'tenant', look: (tx) => settle(tx, [sync.id]) }],
    ['a run is admitted', { by: 'engine', look: (tx) => startRuns(tx, [runId]) }],
    ['a run fails', { by: 'engine', look: (tx) => failRun(tx, runId) }],
    ['its tenant reads the sync', { by: 'tenant', look: (tx) => fetchSync(tx, acme, sync.id) }],
    [
      'its waiting runs are offered',
      { by: 'tenant', look: (tx) => fetchWaitingOffers(tx, { syncId: sync.id }) },
    ],
    ['it is paused and resumed', { by: 'tenant', look: pauseAndResume }],
  ];
  const failRun = async (tx: Tx, id: RunId): Promise<void> => {
    await changeRuns(tx, [id], 'start');
    await changeRuns(tx, [id], 'fail', { errorCode: 'SOURCE_QUERY' });
  };
  async function pauseAndResume(tx: Tx): Promise<void> {
    const paused = { tenantId: acme.tenantId, syncId: sync.id };
    await openPause(tx, paused, { reason: null, until: null });
    await endPauses(tx, paused);
  }
  test.each(looks)('when %s', async (_, { by, look }) => {
    // Whatever the last look left.
    await fixture.pool.query('update penstock.pause set until_at = from_at where until_at is null');
    await fixture.pool.query(`update penstock.run set status = 'cancelled', ended_at = clock_timestamp()`);
    await fixture.pool.query(
      `update penstock.sync set next_nominal_at = next_nominal_at - interval '90 s', next_due_at = next_due_at - interval '90 s'
       where id = $1`,
      [sync.id],
    );
    runId = await plantRun(fixture.pool, sync.id);
    const count = (tx: Tx) => rowsRead(tx, 'pause', () => look(tx));
    const read = await (by === 'engine'
      ? asEngine(fixture.pool, count)
      : asTenant(fixture.pool, acme.tenantId, count));
    expect(read).toBeLessThan(10);
  });
});

describe('of a herd', () => {
  const herd = 1_000;
  let runIds: RunId[];
  beforeAll(async () => {
    const { id } = await fixture.store.syncs.create(acme, aSpec({ name: 'one-of-many' }));
    await copySync(id, herd);
    // The planner has seen history only: there was nothing queued, and nothing at work, when it last looked.
    await plantRuns('old', `interval '1 day'`, { status: 'cancelled', ended_at: new Date() });
    await analyze('run');
    runIds = await plantRuns('new', `interval '1 second'`, {});
  });
  const copySync = (id: SyncId, copies: number) =>
    fixture.pool.query(
      `with copied as (
         insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id)
         select 'syn_' || gen_random_uuid(), tenant_id, 'copy-' || n, source_connection_id, destination_connection_id
         from penstock.sync, generate_series(1, $2::int) n where id = $1
         returning id, tenant_id
       )
       insert into penstock.sync_version (sync_id, version, tenant_id, spec)
       select c.id, 1, c.tenant_id, v.spec from copied c, penstock.sync_version v where v.sync_id = $1`,
      [id, copies],
    );
  const plantRuns = async (
    key: string,
    age: string,
    { status = 'queued', ended_at = null as Date | null },
  ) => {
    const { rows } = await fixture.pool.query<{ id: RunId }>(
      `insert into penstock.run (id, workflow_id, tenant_id, sync_id, sync_version, source_connection_id, origin, nominal_at,
         priority, due_at, start_before, status, ended_at)
       select run, run, tenant_id, id, 1, source_connection_id, 'schedule', at, 3, at, at + interval '1 h', $1, $2
       from (select s.*, 'run_' || md5($3 || id)::uuid as run, date_trunc('minute', now()) - ${age} as at
         from penstock.sync s where name like 'copy-%') s
       returning id`,
      [status, ended_at, key],
    );
    return rows.map((row) => row.id);
  };

  test('admission compares no run with the herd, though the planner has not heard of it', async () => {
    const perRun = async (ids: readonly RunId[]) =>
      asEngine(
        fixture.pool,
        async (tx) => (await rowsRead(tx, 'run', () => startRuns(tx, ids))) / ids.length,
      );
    expect(await perRun(runIds.slice(100, 500))).toBeLessThan(20);
    // Now 400 are at work.
    expect(await perRun(runIds.slice(500, 600))).toBeLessThan(20);
  });

  test('a sweep that looks for missed runs reads those alone', async () => {
    await analyze('run');
    await fixture.pool.query(
      `update penstock.run set start_before = now() - interval '1 s' where id = any($1)`,
      [runIds.slice(0, 3)],
    );
    await asEngine(fixture.pool, async (tx) => {
      let dropped: RunId[] = [];
      const read = await rowsRead(tx, 'run', async () => {
        dropped = await dropMissedRuns(tx);
      });
      expect(dropped.toSorted()).toEqual(runIds.slice(0, 3).toSorted());
      expect(read).toBeLessThan(100);
    });
  });

  test('a further page of due runs begins where the last one ended, though all are due at one instant', async () => {
    const { rows } = await fixture.pool.query<{ at: string; id: RunId }>(
      `select due_at::text as at, id from penstock.run where status = 'queued' order by due_at, id`,
    );
    const last = rows.at(-11)!;
    await asEngine(fixture.pool, async (tx) => {
      await tx.query('set local enable_bitmapscan = off; set local enable_sort = off');
      const read = await rowsRead(tx, 'run', async () => {
        expect((await fetchDueRuns(tx, [last.at, last.id])).items).toHaveLength(10);
      });
      expect(read).toBeLessThan(20);
    });
  });
});
