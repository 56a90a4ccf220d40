/** docs/performance.md shows what the benches printed, not what somebody typed. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { BenchResult } from '../bench/support/bench-report.ts';
import { renderResult } from '../bench/support/render-result.ts';

const packageDir = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(packageDir, 'docs', 'performance.md'), 'utf8');
const folder = join(packageDir, 'bench-results');
const results = (existsSync(folder) ? readdirSync(folder) : [])
  .filter((file) => file.endsWith('.json'))
  .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as BenchResult);

describe('the page of measurements', () => {
  test('shows each result that is kept, as the bench printed it', () => {
    for (const result of results) expect(page).toContain(renderResult(result));
  });

  test('shows no result that is not kept', () => {
    const shown = [...page.matchAll(/^### (\S+): /gm)].map(([, name]) => name);
    expect(new Set(shown)).toEqual(new Set(results.map(({ name }) => name)));
  });
});
