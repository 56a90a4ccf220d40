/** Where whole runs are measured: the product with one worker, so many places, and what each process takes meanwhile. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type DevStack, startDevStack } from '../../../src/dev/dev-stack.ts';
import { takeOwnFolder } from '../../../src/dev/own-folder.ts';
import { cacheDir } from '../../../src/dev/stack.ts';
import { childrenOf, readCpuSeconds } from './process-usage.ts';
import { readVersions } from './servers.ts';

type Versions = Awaited<ReturnType<typeof readVersions>>;

/** Starts the product with one worker that copies so many partitions at once, measures, and takes everything down. */
export async function onRunStage<T>(
  places: number,
  measure: (stack: DevStack) => Promise<T>,
): Promise<{ result: T; versions: Versions }> {
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const dataDir = await takeOwnFolder(join(cacheDir, '..', 'bench'), log);
  const stack = await startDevStack({
    dataDir,
    log: () => {},
    echoLogs: false,
    options: { workerSlots: String(places) },
    workers: 1,
    postgres: { settings: { max_connections: String(100 + 5 * places) } },
  });
  try {
    return { result: await measure(stack), versions: await readVersions(stack.servers) };
  } finally {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Processor seconds by process, of which each has a name. */
export type CpuSeconds = Readonly<Record<string, number>>;

/** What the processes have taken so far; Postgres with all its sessions. */
export function readCpu(pids: Readonly<Record<string, readonly number[]>>): CpuSeconds {
  const own = (pid: number): number => readCpuSeconds(pid) ?? 0;
  const withChildren = (pid: number): number =>
    [...childrenOf(pid).map(own), own(pid), readCpuSeconds(pid, 'children') ?? 0].reduce((a, b) => a + b, 0);
  return Object.fromEntries(
    Object.entries(pids).map(([name, all]) => [name, all.map(withChildren).reduce((a, b) => a + b, 0)]),
  );
}

/** Milliseconds of each process for each of so many runs. */
export const cpuPerRun = (before: CpuSeconds, after: CpuSeconds, runs: number): CpuSeconds =>
  Object.fromEntries(
    Object.entries(after).map(([name, seconds]) => [name, ((seconds - before[name]!) / runs) * 1_000]),
  );
