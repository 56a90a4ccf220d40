/** P6: what a worker holds does not grow with what it copies. (Its usual growth is measured: docs/performance.md.) */
import { execFile } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execute } from '../support/execute.ts';
import { startProduct, type Product } from '../support/product.ts';

const run = promisify(execFile);

let product: Product;
/** The workers, and their sizes before there was anything to copy. */
let pids: readonly number[];
let idle: readonly number[];
beforeAll(async () => {
  product = await startProduct();
  const { postgres } = product.servers;
  await execute(postgres.url, 'create database memory_destination');
  const connection = {
    tenantId: product.tenantId,
    kind: 'postgres' as const,
    host: postgres.host,
    port: postgres.port,
    user: postgres.user,
    password: postgres.password,
    tls: { mode: 'disable' as const },
  };
  await product.api.connections.create({ ...connection, name: 'memory-source', database: 'faults_source' });
  await product.api.connections.create({ ...connection, name: 'memory-to', database: 'memory_destination' });
  pids = product.addresses().pids['worker'] ?? [];
  idle = await readSizes(pids);
}, 120_000);
afterAll(() => product.discard(), 60_000);

describe('a worker', () => {
  test.each([
    ['a million rows', `select n as id, repeat(md5(n::text), 13) as body from generate_series(1, 1000000) n`],
    [
      'rows of a megabyte',
      `select n as id, repeat(md5(n::text), 32768) as body from generate_series(1, 400) n`,
    ],
  ])(
    'stays within 150 MiB of its idle size while it copies 400 MB: %s',
    async (name, rows) => {
      const table = name.replaceAll(' ', '_').toLowerCase();
      const source = product.servers.postgres.urlOf(product.sourceDatabase);
      await execute(source, `create table ${table} as ${rows}`);
      await execute(source, `alter table ${table} add primary key (id)`);
      const end = new AbortController();
      const peaks = watchSizes(pids, end.signal);
      const { receipt } = await copy(table, `select * from ${table}`, table);
      end.abort();

      expect(receipt?.read).toBeGreaterThanOrEqual(400);
      const growth = (await peaks).map((peak, i) => peak - idle[i]!);
      expect(growth).toHaveLength(2);
      for (const mib of growth) expect(mib).toBeLessThanOrEqual(150);
    },
    180_000,
  );
});

async function copy(name: string, query: string, table: string) {
  const { api, tenantId } = product;
  const sync = await api.syncs.create({
    tenantId,
    name: name.replaceAll('_', '-'),
    source: { connection: 'memory-source', query },
    destination: { connection: 'memory-to', table: `public.${table}` },
    mode: 'append',
    key: ['id'],
    schedule: { manual: true },
  });
  return (await api.syncs.trigger(sync.id)).result();
}

/** Resident MiB of each process. */
async function readSizes(pids: readonly number[]): Promise<number[]> {
  return Promise.all(
    pids.map(async (pid) => Number((await run('ps', ['-o', 'rss=', '-p', String(pid)])).stdout) / 1024),
  );
}

/** The largest size of each process until told to stop. */
async function watchSizes(pids: readonly number[], signal: AbortSignal): Promise<number[]> {
  let peaks = pids.map(() => 0);
  while (!signal.aborted) {
    const sizes = await readSizes(pids);
    peaks = peaks.map((peak, i) => Math.max(peak, sizes[i]!));
    await delay(100, undefined, { signal }).catch(() => {});
  }
  return peaks;
}
