/** Numbers about the whole installation, of no tenant in particular, for its metrics. The operator's role reads them. */
import type { Pool } from 'pg';
import type { Tally } from '../domain/maintenance.ts';
import { listWorkerClasses } from './connection-rows.ts';
import { isBlocked, now, pausedReason } from './run-conditions.ts';
import { asOperator, type Tx } from './transaction.ts';

interface LastPass {
  readonly job: string;
  readonly endedAtSeconds: number;
  readonly tally: Tally;
}

/** Whoever reads the metrics does not wait longer (src/telemetry/gauges.ts), and anybody may read them. */
const forMetrics = <T>(pool: Pool, work: (tx: Tx) => Promise<T>): Promise<T> =>
  asOperator(pool, async (tx) => {
    await tx.query(`set local statement_timeout = '3s'`);
    return work(tx);
  });

/** The worker classes that connections name: those that need workers. */
export const fetchWorkerClasses = (pool: Pool): Promise<string[]> => forMetrics(pool, listWorkerClasses);

/** The last pass of each maintenance job that has gone through. */
export const fetchLastPasses = (pool: Pool): Promise<LastPass[]> =>
  forMetrics(pool, async (tx) => {
    const { rows } = await tx.query<LastPass>(
      `select job, extract(epoch from ended_at)::float8 as "endedAtSeconds", tally from penstock.maintenance order by job`,
    );
    return rows;
  });

/** Runs that are not final, by status; and of the queued ones those that wait for nothing but a place. */
export const countOpenRuns = (
  pool: Pool,
): Promise<{ byStatus: Readonly<Record<string, number>>; ready: number }> =>
  forMetrics(pool, async (tx) => {
    const { rows } = await tx.query<{ status: string; runs: number; ready: number }>(
      `select r.status, count(*)::int as runs,
         (count(*) filter (where r.status = 'queued' and r.due_at <= ${now} and ${pausedReason} is null
           and not ${isBlocked}))::int as ready
       from penstock.run r where r.ended_at is null group by r.status`,
    );
    return {
      byStatus: Object.fromEntries(rows.map(({ status, runs }) => [status, runs])),
      ready: rows.reduce((sum, row) => sum + row.ready, 0),
    };
  });
