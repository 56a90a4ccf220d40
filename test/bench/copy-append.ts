/**
 * How fast a whole table is copied, Postgres to Postgres, with the whole product in charge (API, Temporal, worker, a
 * checkpoint every 50,000 rows), side by side with what a Postgres administrator would type: `psql COPY | psql COPY`.
 *
 *   npm run bench copy-append [-- --rows=4000000 --turns=3]
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createClient } from '../../src/client/index.ts';
import { startDevStack } from '../../src/dev/dev-stack.ts';
import { takeOwnFolder } from '../../src/dev/own-folder.ts';
import { cacheDir } from '../../src/dev/stack.ts';
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import { judgeCopy, saveResult, summarize } from './support/bench-report.ts';
import { numberFlag } from './support/flags.ts';
import { linkBench, measureIdle, runPenstock } from './support/penstock-subject.ts';
import { requirePsql, runPsqlPipe } from './support/psql-pipe.ts';
import { renderResult, updatePage } from './support/render-result.ts';
import { execute, readVersions } from './support/servers.ts';
import type { Subject } from './support/take-turns.ts';
import { takeTurns } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);
const turns = numberFlag('turns', 3);
const batchRows = 50_000;
const log = (line: string): void => void process.stderr.write(`${line}\n`);

requirePsql();
const dataDir = await takeOwnFolder(join(cacheDir, '..', 'bench'), log);
const stack = await startDevStack({ dataDir, log, echoLogs: false });
const startedMs = performance.now();
try {
  const { postgres } = stack.servers;
  const { apiUrl, apiKey } = stack.addresses();
  const connection = (name: string, database: string) => ({
    name,
    kind: 'postgres' as const,
    tls: { mode: 'disable' as const },
    database,
    host: postgres.host,
    port: postgres.port,
    user: postgres.user,
    password: postgres.password,
  });
  const penstock = await linkBench(
    createClient({ url: apiUrl, apiKey }),
    {
      source: connection('bench-source', 'bench_source'),
      destination: connection('bench-destination', 'bench_destination'),
    },
    () => stack.addresses().pids['worker'] ?? [],
  );
  const idleMiB = await measureIdle(penstock, startedMs);

  const source = postgres.urlOf('bench_source');
  const destination = postgres.urlOf('bench_destination');
  await execute(postgres.url, 'create database bench_source', 'create database bench_destination');
  log(`making ${rows.toLocaleString('en-US')} rows of lineitem …`);
  await createLineitem(source, rows);

  /** Each turn begins with an empty destination and nothing left to flush. */
  const subject = (
    name: string,
    copy: (turn: number, table: string) => ReturnType<Subject['run']>,
  ): Subject => ({
    name,
    run: async (turn) => {
      const table = `lineitem_${name.replace('-', '_')}_${turn}`;
      await execute(destination, createLineitemTable(table), 'checkpoint');
      const result = await copy(turn, table);
      await requireRows(destination, table);
      await execute(destination, `drop table ${table}`);
      return result;
    },
  });
  const psql = (format: 'text' | 'binary'): Subject =>
    subject(`psql-${format}`, (_, table) =>
      runPsqlPipe({
        format,
        source: { url: source, table: 'lineitem' },
        destination: { url: destination, table },
      }),
    );
  const measured = await takeTurns(
    [
      subject('penstock', (turn, table) =>
        runPenstock(penstock, { table: `public.${table}`, turn, batchRows }),
      ),
      psql('text'),
      psql('binary'),
    ],
    turns,
    log,
  );
  const subjects = [...measured].map(([name, results]) =>
    summarize(name, rows, results, name === 'penstock' ? idleMiB : null),
  );
  const result = saveResult(judgeCopy('copy-append', rows, subjects, await readVersions(stack.servers)));
  updatePage(result);
  process.stdout.write(`\n${renderResult(result)}\n`);
} finally {
  await stack.stop();
  await rm(dataDir, { recursive: true, force: true });
}

async function requireRows(url: string, table: string): Promise<void> {
  const [found] = await execute(url, `select count(*)::int as rows from ${table}`);
  if (found?.['rows'] !== rows) throw new Error(`${table} has ${String(found?.['rows'])} rows, not ${rows}`);
}
