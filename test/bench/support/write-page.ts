/** Writes every kept result into docs/performance.md again, after the way they are shown has changed. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { packageDir } from '../../../src/dev/stack.ts';
import type { BenchResult } from './bench-report.ts';
import { updatePage } from './render-result.ts';

const folder = join(packageDir, 'bench-results');
for (const file of readdirSync(folder))
  updatePage(JSON.parse(readFileSync(join(folder, file), 'utf8')) as BenchResult);
