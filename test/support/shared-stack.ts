/** Starts and stops the stack that all test files of one run share; runs in Jest's own process, outside the tests. */
import { join } from 'node:path';
import { takeOwnFolder } from '../../src/dev/own-folder.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { cacheDir, startStack } from '../../src/dev/stack.ts';
import { publishStack } from './stack.ts';

let shared: Stack | undefined;

const parent = join(cacheDir, '..', 'test');

const log = (line: string) => process.stdout.write(`${line}\n`);

export async function startSharedStack(): Promise<void> {
  shared = await startStack({
    dataDir: await takeOwnFolder(parent, log),
    log,
    // Tests kill processes, never the machine: nothing is lost without fsync, and everything is faster.
    postgres: { settings: { fsync: 'off', max_connections: '300' } },
  });
  publishStack({
    postgresUrl: shared.postgres.url,
    redisUrl: shared.redis.url,
    redisDatabases: shared.redis.databases,
    temporalAddress: shared.temporal.address,
    temporalUiUrl: shared.temporal.uiUrl,
  });
}

export async function stopSharedStack(): Promise<void> {
  await shared?.stop({ discard: true });
}
