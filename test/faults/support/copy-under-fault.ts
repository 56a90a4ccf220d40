/**
 * A copy of many small batches that a test can break at a chosen moment, and the proof afterwards that nothing shows:
 * every row is there once, the receipt adds up, and nothing is left behind.
 */
import { expect } from '@jest/globals';
import { Pool } from 'pg';
import type { RunAnswer } from '../../../src/client/index.ts';
import { compareRows, type Comparison } from '../../../src/dev/demo/compare-rows.ts';
import { writeModeNames, type WriteModeName } from '../../../src/domain/write-modes.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { expectNothingLeft } from './expect-nothing-left.ts';
import { execute } from '../../support/execute.ts';
import { sourceRows, type Product } from '../../support/product.ts';
import type { Dice } from '../../support/dice.ts';

export interface CopyUnderFault {
  /** The newest. */
  readonly runId: string;
  readonly workflowId: string;
  readonly mode: WriteModeName;
  /** Of the superuser. */
  readonly sourceUrl: string;
  readonly destinationUrl: string;
  /** Logins of this copy alone, to find its sessions by. */
  readonly reader: string;
  readonly writer: string;
  /** Moments in the middle, chosen by the seed: numbers of committed batches, the smallest first. */
  readonly moments: (count: number) => readonly number[];
  readonly batches: () => Promise<number>;
  /** Resolves when so many batches are committed. */
  readonly untilBatches: (count: number) => Promise<void>;
  /** Resolves when a mirror is deleting, and has deleted so many chunks. */
  readonly untilDeleted: (chunks: number) => Promise<void>;
  /** Rejects when the newest run has not ended by then; by default after what a fault may take. */
  readonly untilEnd: (withinMs?: number) => Promise<RunAnswer>;
  /** Another run of the sync, once the one before is final. */
  readonly runAgain: () => Promise<void>;
  /** Changes the password that a connection logs in with. */
  readonly changePassword: (end: 'source' | 'destination', password: string) => Promise<unknown>;
  /** Waits for the newest run's end and proves all of it. */
  readonly expectWhole: () => Promise<RunAnswer>;
  readonly close: () => Promise<void>;
}

export interface CopyOptions {
  /** The seed decides otherwise. */
  readonly mode?: WriteModeName;
  /** Makes the rows so wide that the source is still sending when they are far from written. */
  readonly wide?: boolean;
  /** Port by which the destination is reached, of a proxy in front of it. */
  readonly destinationPort?: number;
  /** Partitions at once; the seed decides otherwise. */
  readonly parallel?: number;
}

/** Several kilobytes a row: a worker reads ahead by a few megabytes, and by what the network holds. */
const wideQuery = 'select s.*, repeat(md5(s.id::text), 100) as filler from subscriber s';
const plainQuery = 'select * from subscriber';

let copies = 0;
/** A fault may cost a heartbeat time-out, a take-over and some back-off. */
const endsWithinMs = 150_000;

/** Creates a destination of its own and a sync, and triggers it. */
export async function startCopy(
  product: Product,
  dice: Dice,
  options: CopyOptions = {},
): Promise<CopyUnderFault> {
  const { servers, api, tenantId, sourceDatabase } = product;
  const { postgres } = servers;
  const name = `copy${++copies}`;
  const mode = options.mode ?? dice.oneOf(writeModeNames);
  const batchRows = dice.between(60, 150);
  const parallel = options.parallel ?? dice.oneOf([1, 2]);
  const query = options.wide ? wideQuery : plainQuery;
  const [reader, writer, database] = [`${name}_reader`, `${name}_writer`, `${name}_destination`];
  for (const login of [reader, writer])
    await execute(postgres.url, `create role ${login} login password '${login}'`);
  await execute(postgres.url, `grant pg_read_all_data to ${reader}`);
  await execute(postgres.url, `create database ${database} owner ${writer}`);

  if (mode === 'mirror') await plantLeftovers(product, { database, writer, wide: options.wide ?? false });

  const connect = (suffix: string, changes: { user: string; database: string; port?: number }) =>
    api.connections.create({
      tenantId,
      kind: 'postgres',
      tls: { mode: 'disable' },
      host: postgres.host,
      port: postgres.port,
      password: changes.user,
      name: `${name}-${suffix}`,
      ...changes,
    });
  const port = options.destinationPort ?? postgres.port;
  await connect('source', { user: reader, database: sourceDatabase });
  await connect('destination', { user: writer, database, port });
  const sync = await api.syncs.create({
    tenantId,
    name,
    source: { connection: `${name}-source`, query },
    destination: { connection: `${name}-destination`, table: 'public.subscriber' },
    mode,
    key: ['id'],
    schedule: { manual: true },
    // All that a mirror finds there is to go.
    limits: { batchRows, parallel, maxDeletePercent: 100 },
  });
  const runs: RunAnswer[] = [];
  const trigger = async (): Promise<void> => {
    const { id } = await api.syncs.trigger(sync.id);
    runs.push(await api.runs.fetch(id));
  };
  await trigger();
  const newest = (): RunAnswer => runs.at(-1)!;

  const sourceUrl = postgres.urlOf(sourceDatabase);
  const destinationUrl = postgres.urlOf(database);
  const watch = new Pool({ connectionString: destinationUrl, max: 1 });
  watch.on('error', () => {});
  const batches = () => countBatches(watch);
  return {
    get runId() {
      return newest().id;
    },
    get workflowId() {
      return newest().workflowId;
    },
    mode,
    sourceUrl,
    destinationUrl,
    reader,
    writer,
    moments: (count) => {
      const last = Math.floor((sourceRows / batchRows) * 0.6);
      return Array.from({ length: count }, () => dice.between(1, last)).toSorted((a, b) => a - b);
    },
    batches,
    untilBatches: (count) =>
      waitUntil(`${count} committed batches`, async () => (await batches()) >= count, 60_000),
    untilDeleted: (chunks) =>
      waitUntil(`${chunks} chunks of deletes`, async () => (await countChunks(watch)) >= chunks, 60_000),
    untilEnd: (withinMs) => untilEnd(product, newest().id, withinMs),
    runAgain: trigger,
    changePassword: (end, password) => api.connections.update(`${name}-${end}`, { password }, { tenantId }),
    expectWhole: async () => {
      const run = await untilEnd(product, newest().id);
      expect(run).toMatchObject({ status: 'succeeded', error: null });
      await expectEqualRows({ url: sourceUrl, query }, destinationUrl);
      expectReceipt(run, mode === 'mirror' ? leftovers : 0);
      await expectNothingLeft(product, { run, runs: runs.map(({ id }) => id), writer, destination: watch });
      return run;
    },
    close: () => watch.end(),
  };
}

const untilEnd = ({ api }: Product, runId: string, withinMs = endsWithinMs): Promise<RunAnswer> =>
  api.runs.of(runId).wait({ signal: AbortSignal.timeout(withinMs), lookEveryS: 5 });

async function expectEqualRows(source: Comparison['source'], destinationUrl: string): Promise<void> {
  const found = await compareRows({
    source,
    destination: { url: destinationUrl, query: plainQuery },
    key: ['id'],
  });
  expect(found).toEqual({
    sourceRows,
    destinationRows: sourceRows,
    missing: 0,
    extra: 0,
    different: 0,
    duplicated: 0,
    examples: [],
  });
}

const expectReceipt = ({ receipt }: RunAnswer, deleted: number): void =>
  expect(receipt).toMatchObject({
    read: sourceRows,
    inserted: sourceRows,
    updated: 0,
    unchanged: 0,
    deduplicated: 0,
    rejected: 0,
    deleted,
  });

/** Zero before the first run has made the tables. */
async function countBatches(watch: Pool): Promise<number> {
  const { rows: there } = await watch.query(`select from pg_tables where schemaname = '_penstock'`);
  if (there.length === 0) return 0;
  const { rows } = await watch.query<{ n: number }>('select count(*)::int as n from _penstock.checkpoint');
  return rows[0]?.n ?? 0;
}

/** -1 before it is settled what goes. */
async function countChunks(watch: Pool): Promise<number> {
  if ((await countBatches(watch)) === 0) return -1;
  const { rows } = await watch.query<{ n: number }>(
    `select case when exists (select from _penstock.load where phase in ('loaded', 'done'))
            then (select count(*)::int from _penstock.deletion) else -1 end as n`,
  );
  return rows[0]!.n;
}

/** Rows that a mirror is to delete. */
const leftovers = 5_000;

/** The target as the copy would make it, with rows that are not in the source, and that go slowly: a fault finds a middle. */
async function plantLeftovers(
  { servers: { postgres }, sourceDatabase }: Product,
  { database, writer, wide }: { database: string; writer: string; wide: boolean },
): Promise<void> {
  const columns = await execute<{ column: string }>(
    postgres.urlOf(sourceDatabase),
    `select format('%I %s', attname, format_type(atttypid, atttypmod)) as column
       from pg_attribute where attrelid = 'subscriber'::regclass and attnum > 0 and not attisdropped order by attnum`,
  );
  const all = [...columns.map(({ column }) => column), ...(wide ? ['filler text'] : []), 'primary key (id)'];
  const url = postgres.urlOf(database);
  await execute(url, `create table public.subscriber (${all.join(', ')})`);
  await execute(url, `alter table public.subscriber owner to ${writer}`);
  await execute(
    url,
    `create function public.slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.05); return null; end';
     create trigger slow after delete on public.subscriber for each statement execute function public.slow()`,
  );
  await execute(
    url,
    `insert into public.subscriber (id) select ${sourceRows} + generate_series(1, ${leftovers})`,
  );
}
