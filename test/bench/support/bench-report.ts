/** What a benchmark finds: medians, ratios and bars, kept in `bench-results/<name>.json`. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageDir } from '../../../src/dev/stack.ts';
import { medianOf, type Turn } from './take-turns.ts';

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
  /** Of the checkout; `-dirty` when files differ from it. */
  readonly commit: string;
  /** Rows copied in each run. */
  readonly rows: number;
  readonly machine: Machine;
  readonly subjects: readonly SubjectResult[];
  /** Ours divided by theirs. */
  readonly ratios: Readonly<Record<string, number>>;
  readonly bars: readonly Bar[];
}

/** Medians of one subject's runs. */
export function summarize(
  subject: string,
  rows: number,
  turns: readonly Turn[],
  rssIdleMiB: number | null,
): SubjectResult {
  const median = (of: (turn: Turn) => number | undefined): number | null =>
    medianOf(turns.flatMap((turn) => of(turn) ?? [])) ?? null;
  return {
    subject,
    runs: turns.length,
    rowsPerSecond: rows / (median((turn) => turn.seconds) ?? Number.NaN),
    seconds: turns.map((turn) => turn.seconds),
    // A peak counts as it is: the highest of all runs.
    rssMiB: turns.some((turn) => turn.rssMiB) ? Math.max(...turns.map((turn) => turn.rssMiB ?? 0)) : null,
    rssIdleMiB,
    cpuSeconds: median((turn) => turn.cpuSeconds),
  };
}

/** Compares `penstock` with its peers, against the bars of an append copy. */
export function judgeCopy(
  name: string,
  rows: number,
  subjects: readonly SubjectResult[],
  servers: Pick<Machine, 'postgres' | 'redis' | 'temporal'>,
): BenchResult {
  const ours = subjects.find(({ subject }) => subject === 'penstock')!;
  const peers = subjects.filter((peer) => peer !== ours);
  const ratios = Object.fromEntries(
    peers.map((peer) => [peer.subject, ours.rowsPerSecond / peer.rowsPerSecond]),
  );
  const atLeast = (peer: string, wanted: number): Bar => {
    const measured = ratios[peer] ?? null;
    return {
      bar: `rows/s ÷ ${peer}`,
      wanted: `≥ ${wanted}`,
      measured,
      holds: measured === null ? null : measured >= wanted,
    };
  };
  const growth = ours.rssMiB === null || ours.rssIdleMiB === null ? null : ours.rssMiB - ours.rssIdleMiB;
  return {
    name,
    commit: describeCommit(),
    rows,
    machine: {
      cpus: availableParallelism(),
      memoryMiB: Math.round(totalmem() / 1024 / 1024),
      node: process.versions.node,
      ...servers,
    },
    subjects,
    ratios,
    bars: [
      atLeast('psql-text', 1.25),
      atLeast('psql-binary', 0.95),
      {
        bar: 'worker RSS above idle, MiB',
        wanted: '≤ 100',
        measured: growth,
        holds: growth === null ? null : growth <= 100,
      },
    ],
  };
}

/** Writes `bench-results/<name>.json` and returns the result. */
export function saveResult(result: BenchResult): BenchResult {
  const folder = join(packageDir, 'bench-results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${result.name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  return result;
}

function describeCommit(): string {
  const git = spawnSync('git', ['describe', '--always', '--dirty', '--abbrev=12', '--exclude=*'], {
    cwd: packageDir,
  });
  return git.status === 0 ? git.stdout.toString().trim() : 'unknown';
}
