/** docs/guarantees.md links every promise to the tests that prove it; this keeps the links true. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const packageDir = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(packageDir, 'docs', 'guarantees.md'), 'utf8');

interface Promised {
  readonly heading: string;
  readonly links: readonly { readonly file: string; readonly title: string }[];
  readonly notYet: boolean;
}

/**
 * A section per promise, `## P1 …`; a list entry per test, `- [file](../file): title`, the title of its group before it
 * as in `group › title` where it does not speak for itself; or a line `Not yet: …`.
 */
const promises: Promised[] = page
  .split(/^## (?=P\d)/m)
  .slice(1)
  .map((section) => ({
    heading: section.split('\n')[0]!,
    links: [...section.matchAll(/^- \[(.+?)\]\(\.\.\/(.+?)\): (.+)$/gm)].map(([, , file, title]) => ({
      file: file!,
      title: title!,
    })),
    notYet: /^Not yet: \S/m.test(section),
  }));

const links = promises.flatMap((promised) =>
  promised.links.map((link) => ({ promise: promised.heading.split(' ')[0]!, ...link })),
);

describe('the page of guarantees', () => {
  test('has the twelve promises in order, each with a test or with what is missing', () => {
    expect(promises.map(({ heading }) => heading.split(' ')[0])).toEqual(
      Array.from({ length: 12 }, (_, i) => `P${i + 1}`),
    );
    const empty = promises.filter(({ links, notYet }) => links.length === 0 && !notYet);
    expect(empty).toEqual([]);
  });

  test('names no test twice for one promise, and only test files', () => {
    const names = links.map(({ promise, file, title }) => `${promise} ${file} ${title}`);
    expect(new Set(names).size).toBe(names.length);
    expect(links.filter(({ file }) => !/^test\/.+\.(test|contract)\.ts$/.test(file))).toEqual([]);
  });

  test.each(links)('$promise: $file has the test "$title"', ({ file, title }) => {
    const path = join(packageDir, file);
    expect(existsSync(path)).toBe(true);
    expect(titlesIn(readFileSync(path, 'utf8'))).toEqual(expect.arrayContaining(title.split(' › ')));
  });
});

/** The titles of every `describe`, `test` and `test.each`, as they are written. */
const titlesIn = (source: string): string[] =>
  [...source.matchAll(/(?:^|\W)(?:test|describe)(?:\.each\(.*?\))?\(\s*(['"`])((?:\\.|(?!\1).)*)\1/gs)].map(
    ([, , title]) => title!.replaceAll(/\\(['"`\\])/g, '$1'),
  );
