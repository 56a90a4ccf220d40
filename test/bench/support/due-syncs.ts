/** Very many small syncs that fall due at one instant, in the whole product, and when the last of their runs is over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client as Postgres } from 'pg';
import { type Client, createClient } from '../../../src/client/index.ts';
import type { DevStack } from '../../../src/dev/dev-stack.ts';
import { execute } from './servers.ts';

export interface DueSyncs {
  readonly api: Client;
  /** The one of number n writes the table `public.due_n`. */
  readonly ids: readonly string[];
  /** Lets each fall due once, at the same instant, and waits until all have succeeded. */
  readonly runAll: () => Promise<EndedRuns>;
}

export interface EndedRuns {
  /** From the due time to the end of the last, by the control database's clock. */
  readonly seconds: number;
  /** The most that were under way at an instant. */
  readonly mostAtOnce: number;
}

export interface DueSyncsOptions {
  readonly count: number;
  /** Makes what they read. */
  readonly source: string;
  readonly query: string;
  /** Default: the product's. */
  readonly batchRows?: number;
}

/** None of them finds anything to copy. */
export const emptySyncs = (count: number): DueSyncsOptions => ({
  count,
  source: 'create table nobody (id integer primary key, name text)',
  query: 'select id, name from nobody',
});

/** Each waits before its first row until all are there, and then copies some. */
export const concurrentSyncs = (count: number, waitSeconds: number, rows: number): DueSyncsOptions => ({
  count,
  source: `create table somebody (id integer primary key, name text);
    insert into somebody select n, md5(n::text) from generate_series(1, ${rows}) n`,
  query: `select id, name from somebody where (select pg_sleep(${waitSeconds})) is not null`,
});

/** Creates the databases, a tenant without caps and its syncs, each with a table of its own. */
export async function createDueSyncs(
  { addresses, servers: { postgres } }: DevStack,
  { count, source, query, batchRows }: DueSyncsOptions,
): Promise<DueSyncs> {
  const { apiUrl, apiKey } = addresses();
  const api = createClient({ url: apiUrl, apiKey });
  await execute(postgres.url, 'create database bench_source', 'create database bench_destination');
  await execute(postgres.urlOf('bench_source'), source);
  const { id: tenantId } = await api.tenants.create({ name: 'bench', maxRuns: count });
  for (const end of ['source', 'destination']) {
    const { host, port, user, password } = postgres;
    const access = {
      host,
      port,
      user,
      password,
      database: `bench_${end}`,
      tls: { mode: 'disable' as const },
    };
    await api.connections.create({ ...access, tenantId, name: end, kind: 'postgres', maxRuns: count });
  }
  const ids = await fourAtOnce(count, async (n) => {
    const { id } = await api.syncs.create({
      tenantId,
      name: `due-${n}`,
      mode: 'append',
      key: ['id'],
      source: { connection: 'source', query },
      destination: { connection: 'destination', table: `public.due_${n}` },
      schedule: { manual: true },
      ...(batchRows !== undefined && { limits: { batchRows } }),
    });
    return id;
  });
  return { api, ids, runAll: () => runAll(api, postgres.urlOf('penstock'), ids) };
}

async function runAll(api: Client, controlUrl: string, ids: readonly string[]): Promise<EndedRuns> {
  const dueMs = Date.now() + 5_000 + ids.length * 25;
  const at = new Date(dueMs).toISOString();
  await fourAtOnce(ids.length, (n) => api.syncs.update(ids[n]!, { schedule: { at } }));
  if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
  await sleep(dueMs - Date.now());
  const client = new Postgres({ connectionString: controlUrl });
  await client.connect();
  try {
    for (;;) {
      const { rows } = await client.query<Record<'ended' | 'succeeded' | 'seconds', number>>(outcomeSql, [
        at,
      ]);
      const { ended, succeeded, seconds } = rows[0]!;
      if (ended > succeeded) throw new Error(`${ended - succeeded} runs ended otherwise than as succeeded`);
      if (succeeded === ids.length) return { seconds, mostAtOnce: await fetchMost(client, at) };
      await sleep(500);
    }
  } finally {
    await client.end();
  }
}

const outcomeSql = `
  select count(ended_at)::int as ended, count(*) filter (where status = 'succeeded')::int as succeeded,
    extract(epoch from max(ended_at) - $1::timestamptz)::float8 as seconds
  from penstock.run where due_at = $1::timestamptz`;

/** The most that were under way at an instant, which is one where a run begins. */
async function fetchMost(client: Postgres, at: string): Promise<number> {
  const { rows } = await client.query<{ most: number }>(
    `with due as (select started_at as since, ended_at as until from penstock.run where due_at = $1::timestamptz)
     select max(n)::int as most from due a,
       lateral (select count(*) as n from due b where b.since <= a.since and b.until > a.since) as beside`,
    [at],
  );
  return rows[0]!.most;
}

/** For each number below `count`, four at a time, in order. */
async function fourAtOnce<T>(count: number, work: (n: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      results[n] = await work(n);
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  return results;
}
