/** A benchmark's result as Markdown: what the bench prints, and what docs/performance.md holds. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDir } from '../../../src/dev/stack.ts';
import { renderTable } from '../../support/render-table.ts';
import type { BenchResult } from './bench-report.ts';

/** The result as Markdown, which reads as well on a terminal. */
export function renderResult({ name, commit, rows, machine, subjects, ratios, bars }: BenchResult): string {
  const showsWal = subjects.some((s) => s.walMiB !== undefined);
  const table = renderTable(
    [
      'subject',
      'rows/s',
      'ours ÷ it',
      'seconds',
      'peak RSS MiB',
      'idle RSS MiB',
      'CPU s',
      ...(showsWal ? ['WAL MiB'] : []),
    ],
    subjects.map((s) => [
      s.subject,
      Math.round(s.rowsPerSecond).toLocaleString('en-US'),
      ratios[s.subject]?.toFixed(2) ?? '',
      s.seconds.map((n) => n.toFixed(1)).join(' '),
      s.rssMiB?.toFixed(0) ?? '',
      s.rssIdleMiB?.toFixed(0) ?? '',
      s.cpuSeconds?.toFixed(1) ?? '',
      ...(showsWal ? [s.walMiB?.toFixed(0) ?? ''] : []),
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
