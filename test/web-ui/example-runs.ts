/** Runs to look at: one that copies several partitions, one that is paused, one that failed and two that went well. */
import { Client } from 'pg';
import { createClient, type RunHandle, type SyncSpecInput } from '../../src/client/index.ts';
import { createDemoDatabases, type DemoDatabases } from '../../src/dev/demo/databases.ts';
import type { DevAddresses } from '../../src/dev/dev-stack.ts';
import { waitUntil } from '../support/wait-until.ts';

export interface ExampleRuns {
  /** Takes a few minutes yet. */
  readonly copying: RunHandle;
  readonly paused: RunHandle;
  readonly failed: RunHandle;
  readonly succeeded: RunHandle;
}

const rows = 40_000;
/**
 * From this row on two tables take 30 ms a row: the partitions before are finished, and two at work. Before it one row in a hundred
 * does: a rate is shown of what took a second.
 */
const slowFrom = 30_000;
const batchRows = 250;

const tables = ['orders', 'payments', 'invoices', 'customers'] as const;
type Table = (typeof tables)[number];

const specOf = (table: Table, target: string): SyncSpecInput => ({
  name: table,
  source: { connection: 'acme-warehouse', query: `select id, label from ${table}` },
  destination: { connection: 'app-db', table: `synced.${target}` },
  mode: 'append',
  key: ['id'],
  schedule: { manual: true },
  limits: { batchRows, parallel: 2 },
});

/** @param addresses of a stack that nothing was done to before */
export async function makeFailedRun(addresses: DevAddresses): Promise<RunHandle> {
  const start = await prepareSyncs(addresses);
  const failed = await start('acme', 'invoices');
  await failed.wait();
  return failed;
}

/** @param addresses of a stack that nothing was done to before */
export async function makeExampleRuns(addresses: DevAddresses): Promise<ExampleRuns> {
  const start = await prepareSyncs(addresses);
  await (await start('globex', 'customers', 'globex_customers')).result();
  const succeeded = await start('acme', 'customers');
  await succeeded.result();
  const failed = await start('acme', 'invoices');
  await failed.wait();
  const paused = await start('acme', 'payments');
  await untilSlow(paused);
  await paused.pause();
  await waitUntil('the payments are paused', async () => (await paused.fetch()).status === 'paused');
  const copying = await start('acme', 'orders');
  await untilSlow(copying);
  return { copying, paused, failed, succeeded };
}

type Start = (tenant: 'acme' | 'globex', table: Table, target?: string) => Promise<RunHandle>;

async function prepareSyncs({ apiUrl, apiKey, postgresUrl }: DevAddresses): Promise<Start> {
  const api = createClient({ url: apiUrl, apiKey });
  const databases = await createDemoDatabases(postgresUrl);
  await fillWarehouse(databases);
  for (const name of ['acme', 'globex']) {
    const { id: tenantId } = await api.tenants.create({ name });
    for (const { connection } of Object.values(databases))
      await api.connections.create({ ...connection, tenantId });
  }
  await makeTargets(databases);
  return async (tenant, table, target = table) => {
    const { id } = await api.syncs.create({ ...specOf(table, target), tenantId: tenant });
    return api.syncs.trigger(id);
  };
}

const untilSlow = (run: RunHandle): Promise<void> =>
  waitUntil('the rest is slow', async () => (await run.progress()).rows > slowFrom);

/** Tables that have no column for the labels, and that are slow; the others are made by their syncs. */
async function makeTargets({ app }: DemoDatabases): Promise<void> {
  const client = new Client(app.connection);
  await client.connect();
  await client.query(`
    create schema synced;
    create table synced.invoices (id bigint primary key);
    create function synced.take_time() returns trigger language plpgsql as
      $$ begin perform pg_sleep(0.03); return new; end $$`);
  for (const table of ['payments', 'orders'])
    await client.query(`
      create table synced.${table} (id bigint primary key, label text);
      create trigger slow before insert on synced.${table} for each row when (new.id > ${slowFrom} or new.id % 100 = 0)
        execute function synced.take_time()`);
  await client.end();
}

async function fillWarehouse({ warehouse }: DemoDatabases): Promise<void> {
  const client = new Client(warehouse.adminUrl);
  await client.connect();
  for (const table of tables)
    await client.query(`
      create table ${table} as select id, 'number ' || id as label from generate_series(1::bigint, ${rows}) id;
      alter table ${table} add primary key (id);
      analyze ${table}`);
  await client.end();
}
