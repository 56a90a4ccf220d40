import { describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { rightsOf, scriptedCommands } from '../../../src/schedule/redis-rights.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');
const folder = 'src/schedule/commands/';
const files = readdirSync(new URL(`../../../${folder}`, import.meta.url), {
  recursive: true,
  encoding: 'utf8',
})
  .filter((name) => name.endsWith('.lua'))
  .map((name) => [name, read(folder + name)] as const);
const called = (pattern: RegExp): string[] =>
  files.flatMap(([, text]) => [...text.matchAll(pattern)].map((match) => match[1]!.toLowerCase()));

describe('the rights of a user of Redis', () => {
  test('are those of the commands that the Lua files run, no more and no less', () => {
    expect([...new Set(called(/redis\.call\('(\w+)'/g))].sort()).toEqual([...scriptedCommands]);
  });

  test('are rehearsed one by one', () => {
    const rehearsed = [...read(`${folder}rehearse.lua`).matchAll(/\{ '([A-Z]+)'/g)].map((m) =>
      m[1]!.toLowerCase(),
    );
    expect(rehearsed.sort()).toEqual([...scriptedCommands]);
  });

  test('stand in docs/redis.md as the doctor prints them', () => {
    expect(read('docs/redis.md')).toContain(rightsOf('single').join(' '));
  });
});
