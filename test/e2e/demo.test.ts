/** `penstock demo`, as its users run it, with a smaller table. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from '@jest/globals';
import { packageDir } from '../../src/dev/stack.ts';

async function runDemo(...flags: readonly string[]) {
  const demo = spawn(process.execPath, [join(packageDir, 'dist', 'cli', 'main.js'), 'demo', ...flags]);
  const code = new Promise<number | null>((resolve) => demo.once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(demo.stdout), text(demo.stderr)]);
  return { code: await code, stdout, stderr };
}

describe('the demo', () => {
  test('kills a worker, finds everything equal, and says so in one line of JSON and nothing else', async () => {
    // Enough that its copy lasts until somebody has looked at it: a smaller one may be over before it is killed.
    const { code, stdout, stderr } = await runDemo('--rows', '100000', '--json');
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    const { ok, equal, runs } = JSON.parse(lines[0]!) as { ok: boolean; equal: boolean; runs: object[] };
    expect({ code, ok, equal }).toEqual({ code: 0, ok: true, equal: true });
    expect(runs[0]).toMatchObject({ sync: 'cities', origin: 'manual', rows: 135_233, attempts: 1 });
    expect(runs[1]).toMatchObject({ sync: 'subscribers', origin: 'schedule', rows: 100_000, attempts: 2 });
    expect(runs.slice(2)).toContainEqual(expect.objectContaining({ sync: 'subscribers', rows: 1_500 }));
    expect(stderr).toMatch(/kill -9 of worker \d+/);
    expect(stderr).toMatch(/compare subscriber with .*: 100,500 rows, all equal/);
    expect(stderr).toMatch(/penstock verify: .*: equal/);
  }, 300_000);

  test('refuses a table too small to be interrupted, before it starts anything', async () => {
    const { code, stdout, stderr } = await runDemo('--rows', '10');
    expect({ code, stdout }).toEqual({ code: 78, stdout: '' });
    expect(stderr).toContain('--rows must be a whole number from 1000, not "10"');
  });
});
