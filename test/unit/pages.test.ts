/** The documents name files; a file that was renamed must not leave a reader searching. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';

const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'src/domain/README.md',
  ...readdirSync('docs', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

test.each(pages)('%s names only files that exist', (page) => {
  const text = readFileSync(page, 'utf8');
  const named = [...text.matchAll(/`((?:src|test|bin|docs)\/[\w./-]+)`/g)].map((match) => match[1]!);
  const linked = [...text.matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)].map((match) =>
    join(dirname(page), match[1]!),
  );
  expect([...named, ...linked].filter((path) => !existsSync(path))).toEqual([]);
});
