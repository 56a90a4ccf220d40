/** After a run: its chain of batches is whole, and neither database, Redis nor Temporal still hold anything of it. */
import { expect } from '@jest/globals';
import { Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import type { Pool } from 'pg';
import type { RunAnswer } from '../../../src/client/index.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { execute } from '../../support/execute.ts';
import type { Product } from '../../support/product.ts';

interface Left {
  readonly run: RunAnswer;
  /** All runs of the sync, that one last: each has gone on with the load of the one before. */
  readonly runs: readonly string[];
  /** The copy's own login at the destination. */
  readonly writer: string;
  /** Sessions of the superuser at the destination. */
  readonly destination: Pool;
}

/** Waits where something may still be on its way out, and fails where it stays. */
export async function expectNothingLeft(
  product: Product,
  { run, runs, writer, destination }: Left,
): Promise<void> {
  await waitUntil('the end of all sessions of the copy', async () => {
    const { rows } = await destination.query('select from pg_stat_activity where usename = $1', [writer]);
    return rows.length === 0;
  });
  await expectChain(destination, run);
  await expectTidyDestination(destination, runs);
  await expectAttemptsEnded(product, run);
  await expectPlacesFree(product, run);
  await expectWorkflowClosed(product, run);
}

/** Each partition's batches are 1..n, each begins where the one before ended, the last is final; all add up to the receipt. */
async function expectChain(destination: Pool, run: RunAnswer): Promise<void> {
  const { rows } = await destination.query(
    `select count(*)::int as batches, sum(last) filter (where batch = last)::int as last, sum(rows)::int as rows, sum(bytes)::float8 as bytes,
       count(*) filter (where final) = (select count(*) from _penstock.partition) as ends,
       count(*) filter (where key_lo is distinct from before) as breaks,
       count(*) filter (where final and batch <> last) as early
     from (select *, lag(key_hi) over w as before, max(batch) over (partition by load, partition) as last
       from _penstock.checkpoint window w as (partition by load, partition order by batch)) c`,
  );
  const { receipt } = run;
  expect(rows).toEqual([
    {
      batches: receipt?.batches,
      last: receipt?.batches,
      rows: receipt?.read,
      bytes: receipt?.bytes,
      ends: true,
      breaks: '0',
      early: '0',
    },
  ]);
}

async function expectTidyDestination(destination: Pool, ids: readonly string[]): Promise<void> {
  const { rows: loads } = await destination.query('select phase, opened_by from _penstock.load');
  expect(loads).toEqual([{ phase: 'done', opened_by: ids[0] }]);
  const { rows: beside } = await destination.query(
    `select relname from pg_class where relnamespace = '_penstock'::regnamespace and relname like '%lod\\_%'`,
  );
  expect(beside).toEqual([]);
  const { rows: leases } = await destination.query('select run from _penstock.lease where run is not null');
  expect(leases).toEqual([]);
  const { rows: runs } = await destination.query(
    'select id, final from _penstock.run order by first_seen_at',
  );
  expect(runs).toEqual(ids.map((id) => ({ id, final: true })));
  const { rows: tables } = await destination.query(
    `select schemaname, tablename from pg_tables where schemaname not in ('pg_catalog', 'information_schema', '_penstock')`,
  );
  expect(tables).toEqual([{ schemaname: 'public', tablename: 'subscriber' }]);
}

/** An attempt whose process was killed has no end of its own; the newest one of each partition has. */
async function expectAttemptsEnded({ controlUrl }: Product, { id }: RunAnswer): Promise<void> {
  const attempts = await execute<{ outcome: string | null }>(
    controlUrl,
    `select distinct on (partition) outcome from penstock.run_attempt where run_id = $1 order by partition, epoch desc`,
    [id],
  );
  for (const attempt of attempts) expect(attempt).toEqual({ outcome: 'finished' });
}

async function expectPlacesFree({ servers }: Product, { id }: RunAnswer): Promise<void> {
  const redis = new Redis(servers.redis.url);
  try {
    await waitUntil('the return of the run’s place', async () => {
      const places = await redis.keys('{penstock}:*:active:global');
      return (await Promise.all(places.map((key) => redis.sismember(key, id)))).every((held) => held === 0);
    });
  } finally {
    redis.disconnect();
  }
}

async function expectWorkflowClosed({ servers }: Product, { workflowId }: RunAnswer): Promise<void> {
  const connection = await Connection.connect({ address: servers.temporal.address });
  try {
    // It ends after its run is final.
    await waitUntil('the end of the workflow', async () => {
      const { workflowExecutionInfo: info } = await connection.workflowService.describeWorkflowExecution({
        namespace: 'default',
        execution: { workflowId },
      });
      return Boolean(info?.closeTime);
    });
  } finally {
    await connection.close();
  }
}
