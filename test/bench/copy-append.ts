/**
 * How fast a whole table is copied, Postgres to Postgres, side by side with what a Postgres administrator would type:
 * `psql COPY | psql COPY`, as text and as binary.
 *
 *   npm run bench copy-append [-- --rows=4000000 --turns=3]
 */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { cacheDir, startStack } from '../../src/dev/stack.ts';
import { createLineitem, createLineitemTable } from '../support/lineitem.ts';
import type { SubjectResult } from './support/bench-report.ts';
import { describeMachine, renderResult, saveResult } from './support/bench-report.ts';
import { requirePsql, runPsqlPipe } from './support/psql-pipe.ts';
import type { Subject, Turn } from './support/take-turns.ts';
import { medianOf, takeTurns } from './support/take-turns.ts';

const rows = numberFlag('rows', 4_000_000);
const turns = numberFlag('turns', 3);
const log = (line: string): void => void process.stderr.write(`${line}\n`);

requirePsql();
const stack = await startStack({ dataDir: await mkdtemp(join(cacheDir, '..', 'bench-')), log });
try {
  const source = stack.postgres.urlOf('bench_source');
  const destination = stack.postgres.urlOf('bench_destination');
  await execute(stack.postgres.url, 'create database bench_source', 'create database bench_destination');
  log(`making ${rows.toLocaleString('en-US')} rows of lineitem …`);
  await createLineitem(source, rows);

  const psql = (format: 'text' | 'binary'): Subject => ({
    name: `psql-${format}`,
    run: async () => {
      await execute(
        destination,
        'drop table if exists lineitem',
        createLineitemTable('lineitem'),
        'checkpoint',
      );
      const turn = await runPsqlPipe({
        format,
        source: { url: source, table: 'lineitem' },
        destination: { url: destination, table: 'lineitem' },
      });
      await requireRows(destination, 'lineitem');
      return turn;
    },
  });
  const measured = await takeTurns([psql('text'), psql('binary')], turns, log);
  const subjects = [...measured].map(([subject, results]) => summarize(subject, results));
  const result = {
    name: 'copy-append',
    rows,
    machine: describeMachine(await versions()),
    subjects,
    ratios: {},
    bars: [],
  };
  process.stdout.write(`\n${renderResult(result)}\n\n`);
  log(`written to ${saveResult(result)}`);
} finally {
  await stack.stop({ discard: true });
}

function summarize(subject: string, results: readonly Turn[]): SubjectResult {
  const median = (of: (turn: Turn) => number | undefined): number | null =>
    medianOf(results.flatMap((turn) => of(turn) ?? [])) ?? null;
  return {
    subject,
    runs: results.length,
    rowsPerSecond: rows / (median((turn) => turn.seconds) ?? Number.NaN),
    seconds: results.map((turn) => turn.seconds),
    rssMiB: median((turn) => turn.rssMiB),
    rssIdleMiB: null,
    cpuSeconds: median((turn) => turn.cpuSeconds),
  };
}

async function requireRows(url: string, table: string): Promise<void> {
  const [found] = await execute(url, `select count(*)::int as rows from ${table}`);
  if (found?.['rows'] !== rows) throw new Error(`${table} has ${String(found?.['rows'])} rows, not ${rows}`);
}

/** Runs statements one after the other; the rows of the last. */
async function execute(url: string, ...statements: readonly string[]): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    let last: Record<string, unknown>[] = [];
    for (const sql of statements) last = (await client.query<Record<string, unknown>>(sql)).rows;
    return last;
  } finally {
    await client.end();
  }
}

async function versions(): Promise<{ postgres: string; redis: string; temporal: string }> {
  const [found] = await execute(
    stack.postgres.url,
    `select split_part(current_setting('server_version'), ' ', 1) as version`,
  );
  return { postgres: String(found?.['version']), redis: 'unused', temporal: 'unused' };
}

function numberFlag(name: string, otherwise: number): number {
  const text = process.argv.find((arg) => arg.startsWith(`--${name}=`))?.split('=')[1];
  const value = text === undefined ? otherwise : Number(text);
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`--${name} must be a whole number above 0, not "${text ?? ''}"`);
}
