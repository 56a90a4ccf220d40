/** A benchmark's result as Markdown: what the bench prints, and what docs/performance.md holds. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDir } from '../../../src/dev/stack.ts';
import { renderTable } from '../../support/render-table.ts';
import type { BenchResult, SubjectResult } from './bench-report.ts';

/** What is said of each subject; nothing that no subject has. */
const columns: readonly (readonly [title: string, of: (s: SubjectResult) => string | undefined])[] = [
  ['rows/s', (s) => count(s.rowsPerSecond)],
  ['runs/s', (s) => s.runsPerSecond?.toFixed(1)],
  ['a second', (s) => count(s.startsPerSecond ?? s.callsPerSecond)],
  [
    'late by ms: p50 / p95 / p99',
    ({ lagMs: lag }) => lag && [lag.p50, lag.p95, lag.p99].map((ms) => ms.toFixed(0)).join(' / '),
  ],
  [
    'shown after ms: p50 / p99 / most',
    ({ shownMs: ms }) => ms && [ms.p50, ms.p99, ms.most].map((n) => n.toFixed(0)).join(' / '),
  ],
];
const processes = ['worker', 'starter', 'temporal', 'postgres', 'redis'] as const;
const usage: typeof columns = [
  ['seconds', (s) => s.seconds.map((n) => n.toFixed(1)).join(' ') || undefined],
  ['peak RSS MiB', (s) => s.rssMiB?.toFixed(0)],
  ['idle RSS MiB', (s) => s.rssIdleMiB?.toFixed(0)],
  ['CPU s', (s) => s.cpuSeconds?.toFixed(1)],
  ['source CPU s', (s) => s.serverCpu?.source.toFixed(1)],
  ['destination CPU s', (s) => s.serverCpu?.destination.toFixed(1)],
  ['rest CPU s', (s) => s.serverCpu?.rest.toFixed(1)],
  ...processes.map((name): (typeof columns)[number] => [
    `${name} CPU ms a run`,
    (s) => s.cpuPerRunMs?.[name]?.toFixed(1),
  ]),
  ['WAL MiB', (s) => s.walMiB?.toFixed(0)],
];
const count = (value: number | undefined): string | undefined =>
  value === undefined ? undefined : Math.round(value).toLocaleString('en-US');

/** The result as Markdown, which reads as well on a terminal. */
export function renderResult({
  name,
  commit,
  rows,
  rowsAre,
  machine,
  subjects,
  ratios,
  bars,
}: BenchResult): string {
  const ratio: (typeof columns)[number] = ['ours ÷ it', (s) => ratios[s.subject]?.toFixed(2)];
  const shown = [...columns, ratio, ...usage].filter(([, of]) => subjects.some((s) => of(s) !== undefined));
  const table = renderTable(
    ['subject', ...shown.map(([title]) => title)],
    subjects.map((s) => [s.subject, ...shown.map(([, of]) => of(s) ?? '')]),
  );
  const verdict = { true: 'holds', false: 'falls short', null: 'not measured here' };
  const barTable = renderTable(
    ['bar', 'wanted', 'measured', ''],
    bars.map((b) => [b.bar, b.wanted, b.measured?.toFixed(2) ?? '', verdict[`${b.holds}`]]),
  );
  return [
    `### ${name}: ${rows.toLocaleString('en-US')} ${rowsAre ?? (subjects.some((s) => s.rowsPerSecond) ? 'rows' : 'schedules')}`,
    table,
    ...(bars.length > 0 ? [barTable] : []),
    `${machine.cpus} CPUs, ${Math.round(machine.memoryMiB / 1024)} GiB, Node ${machine.node}, PostgreSQL ${machine.postgres}, ` +
      `Redis ${machine.redis}, Temporal ${machine.temporal}; commit ${commit}. Medians of runs that took turns.`,
  ].join('\n\n');
}

const page = join(packageDir, 'docs', 'performance.md');

/** Puts the result in its place on docs/performance.md. */
export function updatePage(result: BenchResult): void {
  const text = readFileSync(page, 'utf8');
  const section = sectionOf(result.name);
  if (!section.test(text)) throw new Error(`docs/performance.md has no place for ${result.name}`);
  writeFileSync(
    page,
    text.replace(section, (_, begin, end) => `${begin}\n\n${renderResult(result)}\n\n${end}`),
  );
}

const sectionOf = (name: string): RegExp =>
  new RegExp(`(<!-- bench ${name} -->)[^]*?(<!-- end of ${name} -->)`);
