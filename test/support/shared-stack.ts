/** Starts and stops the stacks that test files share, one for each of Jest's workers; runs in Jest's own process. */
import { join } from 'node:path';
import { readDevOptions } from '../../src/config/dev-options.ts';
import { findProgram } from '../../src/dev/find-program.ts';
import { takeOwnFolder } from '../../src/dev/own-folder.ts';
import { programs } from '../../src/dev/programs.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { cacheDir, startStack } from '../../src/dev/stack.ts';
import { publishStacks } from './stack.ts';

let shared: Stack[] = [];

const parent = join(cacheDir, '..', 'test');

/** Says once what all stacks say. */
function createLog(): (line: string) => void {
  const said = new Set<string>();
  return (line) => {
    if (!said.has(line)) process.stdout.write(`${line}\n`);
    said.add(line);
  };
}

export async function startSharedStacks(workers: number): Promise<void> {
  const log = createLog();
  const folder = await takeOwnFolder(parent, log);
  // What is missing is installed once, not by each stack.
  const find = { options: readDevOptions(), cacheDir, log };
  await Promise.all(Object.values(programs).map((program) => findProgram(program, find)));
  const start = (number: number) =>
    startStack({
      dataDir: `${folder}-${number}`,
      log,
      // Tests kill processes, never the machine: nothing is lost without fsync, and everything is faster.
      postgres: { settings: { fsync: 'off', max_connections: '300' } },
    });
  shared = await Promise.all(Array.from({ length: workers }, (_, i) => start(i + 1)));
  publishStacks(
    shared.map(({ postgres, redis, temporal }) => ({
      postgresUrl: postgres.url,
      redisUrl: redis.url,
      redisDatabases: redis.databases,
      temporalAddress: temporal.address,
      temporalUiUrl: temporal.uiUrl,
    })),
  );
}

export async function stopSharedStacks(): Promise<void> {
  await Promise.all(shared.map((stack) => stack.stop({ discard: true })));
}
