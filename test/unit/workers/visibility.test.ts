/** Temporal's lists and counts of workflows lag, and may be away while all else works: nothing is decided by them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

const source = join(import.meta.dirname, '../../../src');
const asksVisibility =
  /\b(?:workflow\.(?:list|count)\b|(?:list|scan|count)(?:Open|Closed)?WorkflowExecutions)/;

test('no code of ours asks for lists of workflows', () => {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(files.filter((file) => asksVisibility.test(readFileSync(join(source, file), 'utf8')))).toEqual([]);
  expect(asksVisibility.test('client.workflow.list({ query })')).toBe(true);
  expect(asksVisibility.test('workflowService.countWorkflowExecutions({})')).toBe(true);
});
