/** docs/scheduling.md states the protocol, and names who keeps each part of it; this keeps the names true. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const docs = join(import.meta.dirname, '..', '..', 'docs');
const page = readFileSync(join(docs, 'scheduling.md'), 'utf8');
const commands = join(docs, '..', 'src', 'schedule', 'commands');
const luaFiles = readdirSync(commands, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.lua'),
);

const sectionOf = (heading: string): string =>
  page.split(/^## /m).find((section) => section.startsWith(heading)) ?? '';
const protocol = ['Invariants', 'States of a due time', 'Transitions'].map(sectionOf).join('');

/** The rows of invariants: number and the files that they link. */
const invariants = [...sectionOf('Invariants').matchAll(/^\| (\d+) +\|[^|]+\|([^|]+)\|$/gm)].map(
  ([, number, keepers]) => ({
    number: Number(number),
    files: [...keepers!.matchAll(/\]\(([^)]+)\)/g)].map(([, file]) => file!),
  }),
);

/** The invariants that a Lua file says it keeps. */
const statedIn = (file: string): number[] => [
  ...new Set(
    [...readFileSync(join(commands, file), 'utf8').matchAll(/Invariant (\d+):/g)].map(([, n]) => Number(n)),
  ),
];

describe('the page of scheduling', () => {
  test('numbers its invariants in order', () => {
    expect(invariants.map(({ number }) => number)).toEqual(invariants.map((_, n) => n + 1));
    expect(invariants.length).toBeGreaterThan(12);
  });

  test.each(luaFiles)('%s is part of its protocol', (file) => {
    expect(protocol).toContain(`(../src/schedule/commands/${file})`);
  });

  test.each(luaFiles)('%s states the invariants for which the page names it', (file) => {
    const named = invariants.filter(({ files }) => files.some((each) => basename(each) === basename(file)));
    expect(statedIn(file).toSorted((a, b) => a - b)).toEqual(named.map(({ number }) => number));
  });

  const functions = [...page.matchAll(/((?:`\w+`(?: and |, )?)+) in\s+\[[^\]]+\]\(([^)]+)\)/g)].flatMap(
    ([, names, file]) => [...names!.matchAll(/`(\w+)`/g)].map(([, name]) => ({ name: name!, file: file! })),
  );
  test.each(functions)('$name is in $file', ({ name, file }) => {
    expect(readFileSync(join(docs, file), 'utf8')).toMatch(new RegExp(`(function|const) ${name}\\b`));
  });
});
