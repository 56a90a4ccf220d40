/** What a benchmark leaves: one table for people, and `bench-results/<name>.json` for the docs and for comparing. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageDir = fileURLToPath(new URL('../../..', import.meta.url));

export interface Machine {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly node: string;
  readonly postgres: string;
  readonly redis: string;
  readonly temporal: string;
}

/** One subject's medians. Fixed names: `penstock`, `psql-text`, `psql-binary` … */
export interface SubjectResult {
  readonly subject: string;
  readonly runs: number;
  readonly rowsPerSecond: number;
  /** Each run, in order. */
  readonly seconds: readonly number[];
  readonly rssMiB: number | null;
  readonly rssIdleMiB: number | null;
  readonly cpuSeconds: number | null;
}

/** What was promised, and whether it holds here. */
export interface Bar {
  readonly bar: string;
  readonly wanted: string;
  readonly measured: number | null;
  /** null: it could not be measured on this machine. */
  readonly holds: boolean | null;
}

export interface BenchResult {
  readonly name: string;
  /** Rows copied in each run. */
  readonly rows: number;
  readonly machine: Machine;
  readonly subjects: readonly SubjectResult[];
  /** Ours divided by theirs. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly bars: readonly Bar[];
}

/** This machine, with the versions of the servers that were measured. */
export const describeMachine = (servers: Pick<Machine, 'postgres' | 'redis' | 'temporal'>): Machine => ({
  cpus: availableParallelism(),
  memoryMiB: Math.round(totalmem() / 1024 / 1024),
  node: process.versions.node,
  ...servers,
});

/**
 * Writes the JSON file.
 * @returns its path
 */
export function saveResult(result: BenchResult): string {
  const { name, ...rest } = result;
  const folder = join(packageDir, 'bench-results');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify({ name, commit: describeCommit(), ...rest }, null, 2)}\n`);
  return file;
}

/** The commit, with `-dirty` when files differ from it. */
function describeCommit(): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
    cwd: packageDir,
  });
  return git.status === 0 ? git.stdout.toString().trim() : 'unknown';
}

/** The result as Markdown, which reads as well on a terminal. */
export function renderResult({ name, rows, machine, subjects, ratios, bars }: BenchResult): string {
  const table = renderTable(
    ['subject', 'rows/s', 'ours ÷ it', 'seconds', 'peak RSS MiB', 'idle RSS MiB', 'CPU s'],
    subjects.map((s) => [
      s.subject,
      Math.round(s.rowsPerSecond).toLocaleString('en-US'),
      ratios[s.subject]?.toFixed(2) ?? '',
      s.seconds.map((n) => n.toFixed(1)).join(' '),
      s.rssMiB?.toFixed(0) ?? '',
      s.rssIdleMiB?.toFixed(0) ?? '',
      s.cpuSeconds?.toFixed(1) ?? '',
    ]),
  );
  const verdict = { true: 'holds', false: 'falls short', null: 'not measured here' };
  const barTable = renderTable(
    ['bar', 'wanted', 'measured', ''],
    bars.map((b) => [b.bar, b.wanted, b.measured?.toFixed(2) ?? '', verdict[`${b.holds}`]]),
  );
  return [
    `### ${name}: ${rows.toLocaleString('en-US')} rows`,
    table,
    barTable,
    `${machine.cpus} CPUs, ${Math.round(machine.memoryMiB / 1024)} GiB, Node ${machine.node}, PostgreSQL ${machine.postgres}, ` +
      `Redis ${machine.redis}, Temporal ${machine.temporal}. Medians of runs that took turns.`,
  ].join('\n\n');
}

/** A Markdown table with padded columns: the first left-aligned, the others right. */
function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, i) => Math.max(title.length, 4, ...rows.map((row) => row[i]!.length)));
  const pad = (text: string, i: number): string =>
    i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!);
  const line = (cells: readonly string[]): string => `| ${cells.map(pad).join(' | ')} |`;
  const rule = widths.map((width, i) => (i === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
