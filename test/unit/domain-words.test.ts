import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const folder = new URL('../../src/domain/', import.meta.url);
const page = readFileSync(new URL('README.md', folder), 'utf8');

test('the page of words names only files that exist', () => {
  const files = [...page.matchAll(/\]\(([^)]+)\)/g)].map((match) => match[1]!);
  expect(files.length).toBeGreaterThan(20);
  expect(files.filter((file) => !existsSync(new URL(file, folder)))).toEqual([]);
});

test('each schedule file of the domain is on the page of words', () => {
  const about = readdirSync(folder).filter((file) => /cron|schedule|slot|zone|priority/.test(file));
  expect(about.length).toBeGreaterThan(7);
  expect(about.filter((file) => !page.includes(file.replace('.ts', '')))).toEqual([]);
});
