/**
 * Where copies are measured: the whole product with its servers, a database to copy from and one to copy to, and the
 * subjects that do it. Our worker has copied something before, as a worker in service has.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient, type RunHandle } from '../../../src/client/index.ts';
import { type DevStack, startDevStack } from '../../../src/dev/dev-stack.ts';
import { takeOwnFolder } from '../../../src/dev/own-folder.ts';
import { cacheDir } from '../../../src/dev/stack.ts';
import type { Findings } from './bench-report.ts';
import { numberFlag } from './flags.ts';
import { createSync, linkBench, type Penstock, type PenstockCopy, runSync } from './penstock-subject.ts';
import { type PsqlPipe, requirePsql, runPsqlPipe } from './psql-pipe.ts';
import { publishResult } from './publish-result.ts';
import { execute, readVersions } from './servers.ts';
import type { Subject, Turn } from './take-turns.ts';

export interface CopyStage {
  readonly stack: DevStack;
  readonly penstock: Penstock;
  /** URLs of the two databases, both on one server. */
  readonly source: string;
  readonly destination: string;
  /** `--turns`, 3 by default. */
  readonly turns: number;
  readonly log: (line: string) => void;
  /** Measures more of a copy than its subject does. */
  readonly around?: (copy: () => Promise<Turn>) => Promise<Turn>;
}

/** Starts everything, measures, publishes the result, and takes everything down. */
export async function onCopyStage(measure: (stage: CopyStage) => Promise<Findings>): Promise<void> {
  requirePsql();
  const turns = numberFlag('turns', 3);
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const dataDir = await takeOwnFolder(join(cacheDir, '..', 'bench'), log);
  const stack = await startDevStack({ dataDir, log, echoLogs: false });
  const startedMs = performance.now();
  try {
    const { postgres } = stack.servers;
    await execute(postgres.url, 'create database bench_source', 'create database bench_destination');
    const penstock = await linkToProduct(stack, startedMs);
    const [source, destination] = [postgres.urlOf('bench_source'), postgres.urlOf('bench_destination')];
    await warmUp(penstock, destination);
    const findings = await measure({ stack, penstock, source, destination, turns, log });
    publishResult(findings, await readVersions(stack.servers));
  } finally {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function linkToProduct(stack: DevStack, startedMs: number): Promise<Penstock> {
  const { apiUrl, apiKey } = stack.addresses();
  const { host, port, user, password } = stack.servers.postgres;
  const connection = (name: string, database: string) => ({
    name,
    database,
    host,
    port,
    user,
    password,
    kind: 'postgres' as const,
    tls: { mode: 'disable' as const },
  });
  return linkBench(
    createClient({ url: apiUrl, apiKey }),
    {
      source: connection('bench-source', 'bench_source'),
      destination: connection('bench-destination', 'bench_destination'),
    },
    () =>
      Object.entries(stack.addresses().pids).flatMap(([name, pids]) =>
        name.startsWith('worker') ? pids : [],
      ),
    startedMs,
  );
}

/** Runs small copies: enough that each worker has done one. */
async function warmUp(penstock: Penstock, destination: string): Promise<void> {
  const sync = await createSync(penstock, {
    name: 'warm-up',
    query: 'select i::integer as id, md5(i::text) as filler from generate_series(1, 50000) as i',
    table: 'public.warm_up',
    mode: 'append',
    key: ['id'],
  });
  for (let i = 0; i < 6; i++) await runSync(penstock, sync);
  await execute(destination, 'drop table warm_up');
}

/** What a subject copies and into what. */
export interface Work {
  /** The table of a turn, of this subject alone. */
  readonly table: (turn: number) => string;
  /** Makes the table what it must be before a turn. Not measured. */
  readonly prepare: (table: string, turn: number) => Promise<unknown>;
  /** Throws unless the table is what it must be after a turn. Not measured. */
  readonly check: (table: string, turn: number) => Promise<unknown>;
}

/** A subject with its preparation and proof; every turn begins with nothing left to flush. */
export function subjectOf(
  { destination, around = (copy) => copy() }: Pick<CopyStage, 'destination' | 'around'>,
  name: string,
  work: Work,
  copy: (table: string) => Promise<Turn>,
): Subject {
  return {
    name,
    run: async (turn) => {
      const table = work.table(turn);
      await work.prepare(table, turn);
      await execute(destination, 'checkpoint');
      const before = await readLogPosition(destination);
      const result = await around(() => copy(table));
      const walBytes = (await readLogPosition(destination)) - before;
      await work.check(table, turn);
      return { ...result, walBytes };
    },
  };
}

async function readLogPosition(url: string): Promise<number> {
  const [at] = await execute(url, `select pg_current_wal_insert_lsn() - '0/0'::pg_lsn as bytes`);
  return Number(at!['bytes']);
}

/** Ours: a sync for each table, which runs again where a table serves several turns. `during` may disturb a run. */
export function penstockOn(
  { penstock, ...stage }: CopyStage,
  name: string,
  work: Work,
  copy: Omit<PenstockCopy, 'table' | 'name'>,
  during?: (run: RunHandle) => Promise<unknown>,
): Subject {
  const syncs = new Map<string, string>();
  return subjectOf(stage, name, work, async (table) => {
    const known = syncs.get(table);
    const spec = { ...copy, name: table.replaceAll('_', '-'), table: `public.${table}` };
    const sync = known ?? (await createSync(penstock, spec));
    syncs.set(table, sync);
    return runSync(penstock, sync, during);
  });
}

/** The peer that every Postgres administrator has at hand; `pipeInto` may add statements. */
export const psqlOn = (
  stage: CopyStage,
  name: string,
  work: Work,
  pipeInto: (table: string) => Omit<PsqlPipe, 'source'> & { rows: string },
): Subject =>
  subjectOf(stage, name, work, (table) => {
    const { rows, ...pipe } = pipeInto(table);
    return runPsqlPipe({ ...pipe, source: { url: stage.source, rows } });
  });

/** A new, empty table for every turn, dropped after it; all rows must be in it. */
export function emptyTables(
  { destination }: CopyStage,
  prefix: string,
  create: (table: string) => string,
  rows: number,
): Work {
  return {
    table: (turn) => `${prefix}_${turn}`,
    prepare: (table) => execute(destination, create(table)),
    check: async (table) => {
      await requireRows(destination, table, rows);
      await execute(destination, `drop table ${table}`);
    },
  };
}

/** @throws Error unless the table has exactly so many rows */
export async function requireRows(url: string, table: string, rows: number): Promise<void> {
  const [found] = await execute(url, `select count(*)::int as rows from ${table}`);
  if (found?.['rows'] !== rows) throw new Error(`${table} has ${String(found?.['rows'])} rows, not ${rows}`);
}
