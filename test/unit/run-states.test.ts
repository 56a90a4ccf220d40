import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { runChanges } from '../../src/domain/run-states.ts';

test('the table of ARCHITECTURE.md has every change of a run, from where and to where', () => {
  const page = readFileSync(new URL('../../ARCHITECTURE.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(\w+)` *\| ([a-z, ]+?) *\| (\w+) *\|/gm)];
  const written = rows.map(([, name, from, to]) => [name, { from: from!.split(', ').sort(), to }]);
  const allowed = Object.entries(runChanges).map(([name, { from, to }]) => [
    name,
    { from: [...from].sort(), to },
  ]);
  expect(Object.fromEntries(written)).toEqual(Object.fromEntries(allowed));
});
