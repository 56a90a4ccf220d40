/** What the simulation shows, as Markdown: a table of waits, and a plot of each order. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageDir } from '../../src/dev/stack.ts';
import { renderTable } from '../support/render-table.ts';
import { orders } from './orders.ts';
import { arrivals, serve, waitsOf, type Waits } from './overload.ts';

/** Any other shows the same. */
export const shownSeed = 1;

const page = join(packageDir, 'docs', 'scheduling.md');
const section = /(<!-- simulation -->)[^]*?(<!-- end of simulation -->)/;

export function renderSimulation(seed: number): string {
  const runs = arrivals(seed);
  const results = orders.map((order) => ({ name: order.name, waits: waitsOf(serve(runs, order)) }));
  const top = Math.max(...results.flatMap(({ waits }) => waits.map(({ longest }) => longest)));
  const table = renderTable(
    ['order', ...[1, 2, 3, 4, 5].map((priority) => `priority ${priority}`)],
    results.map(({ name, waits }) => [`\`${name}\``, ...waits.map(describe)]),
  );
  const plots = results.map(({ name, waits }) => renderPlot(name, waits, Math.ceil(top / 60) * 60));
  return [
    `Minutes that a run waits which came in these two hours, as median / 99th percentile / longest (seed ${seed}).`,
    table,
    'The bars are medians, the lines 99th percentiles.',
    ...plots,
  ].join('\n\n');
}

const describe = ({ median, p99, longest }: Waits): string =>
  [median, p99, longest].map((minutes) => minutes.toFixed(0)).join(' / ');

function renderPlot(name: string, waits: readonly Waits[], top: number): string {
  const list = (value: (waits: Waits) => number): string =>
    `[${waits.map((each) => value(each).toFixed(1)).join(', ')}]`;
  return [
    '```mermaid',
    'xychart-beta',
    `  title "${name}"`,
    `  x-axis "priority" ${list(({ priority }) => priority).replaceAll('.0', '')}`,
    `  y-axis "minutes waited" 0 --> ${top}`,
    `  bar ${list(({ median }) => median)}`,
    `  line ${list(({ p99 }) => p99)}`,
    '```',
  ].join('\n');
}

/** Whether the page shows what the simulation says now. */
export const isShown = (rendered: string): boolean => readFileSync(page, 'utf8').includes(rendered);

export function showOnPage(rendered: string): void {
  const text = readFileSync(page, 'utf8');
  if (!section.test(text)) throw new Error('docs/scheduling.md has no place for the simulation');
  writeFileSync(
    page,
    text.replace(section, (_, begin: string, end: string) => `${begin}\n\n${rendered}\n\n${end}`),
  );
}
