/** The end of a benchmark: what it found is kept with where it was found, put on docs/performance.md, and printed. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { packageDir } from '../../../src/dev/stack.ts';
import { type BenchResult, type Findings, type Machine, rateOf, type SubjectResult } from './bench-report.ts';
import { renderResult, updatePage } from './render-result.ts';

/** @param servers versions; `none` of one that the benchmark does without */
export function publishResult(
  findings: Findings,
  servers: Pick<Machine, 'postgres' | 'redis' | 'temporal'>,
): void {
  const result: BenchResult = {
    ...findings,
    commit: describeCommit(),
    machine: {
      cpus: availableParallelism(),
      memoryMiB: Math.round(totalmem() / 1024 / 1024),
      node: process.versions.node,
      ...servers,
    },
    ratios: ratiosOf(findings.subjects),
  };
  const folder = join(packageDir, 'bench-results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${result.name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  updatePage(result);
  process.stdout.write(`\n${renderResult(result)}\n`);
}

/** Our rate divided by each other subject's. A subject `x (where)` is compared with `penstock (where)`. */
function ratiosOf(subjects: readonly SubjectResult[]): Record<string, number> {
  const ours = (name: string): string => `penstock${/ \(.*\)$/.exec(name)?.[0] ?? ''}`;
  return Object.fromEntries(
    subjects.flatMap(({ subject }) => {
      const rate = subject.startsWith('penstock') ? undefined : rateOf(subjects, ours(subject));
      const theirs = rateOf(subjects, subject);
      return rate === undefined || theirs === undefined ? [] : [[subject, rate / theirs]];
    }),
  );
}

/** Of the checkout; `-dirty` when files differ from it, but for what benchmarks write themselves. */
function describeCommit(): string {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: packageDir }).stdout?.toString().trim();
  const commit = git('rev-parse', '--short=12', 'HEAD');
  if (!commit) return 'unknown';
  return git('status', '--porcelain', '--', '.', ':!bench-results', ':!docs/performance.md')
    ? `${commit}-dirty`
    : commit;
}
