/** What documents name must be there: what was renamed must not leave a reader searching. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { devOptionTable } from '../../src/config/dev-options.ts';
import { envNameOf, optionTable, type OptionName } from '../../src/config/options.ts';

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

/** As GitHub makes them of headings. */
const anchorsOf = (page: string): string[] =>
  [...readFileSync(page, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-'),
  );

test.each(pages)('%s leads only to headings that exist', (page) => {
  const links = [...readFileSync(page, 'utf8').matchAll(/\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)/g)];
  const dead = links.filter(([, file, anchor]) => {
    const target = file === '' ? page : join(dirname(page), file!);
    return target.endsWith('.md') && !anchorsOf(target).includes(anchor!);
  });
  expect(dead.map(([link]) => link)).toEqual([]);
});

const sources = ['src', 'bin', 'test/support']
  .flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  .filter((file) => /\.(ts|mjs|sql)$/.test(file))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n');
const options = [
  ...Object.keys(optionTable).map((name) => envNameOf(name as OptionName)),
  ...Object.values(devOptionTable).map(({ env }) => env),
];
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };

test.each(pages)('%s names only variables, metrics and scripts that exist', (page) => {
  const text = readFileSync(page, 'utf8');
  const named = (pattern: RegExp): string[] => [...text.matchAll(pattern)].map(([, name]) => name!);
  const unknown = [
    ...named(/\b(PENSTOCK_[A-Z_]*[A-Z])\b/g).filter(
      (name) => !options.includes(name) && !sources.includes(name),
    ),
    ...named(/\b(penstock_[a-z_]*[a-z])\b/g).filter((name) => !sources.includes(name)),
    ...named(/npm run (?:-s )?([a-z][a-z:-]*)/g).filter((name) => !Object.hasOwn(scripts, name)),
  ];
  expect(unknown).toEqual([]);
});
