/**
 * The pid file of a data folder: who owns it, and which processes it started. A later start refuses a folder whose
 * owner is alive, and ends what a dead owner left behind.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PenstockError } from '../domain/errors.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { identifyProcess, isRunning } from './process-identity.ts';

interface PidRecord extends ProcessIdentity {
  readonly name: string;
  readonly stopSignal: NodeJS.Signals;
}

interface PidFileContent {
  readonly owner: ProcessIdentity;
  readonly processes: readonly PidRecord[];
}

export interface PidFile {
  /** Notes a started process, in place of an earlier one of that name. */
  readonly add: (name: string, pid: number, stopSignal: NodeJS.Signals) => void;
  /** Forgets everything; after all has been stopped. */
  readonly remove: () => void;
}

const pidFileOf = (dataDir: string): string => join(dataDir, 'pids.json');

/**
 * Takes the data folder for this process, after ending what a dead owner left in it.
 * @throws PenstockError DATA_DIR_IN_USE when its owner is alive
 */
export async function takeDataDir(dataDir: string, log: (line: string) => void): Promise<PidFile> {
  const before = readPidFile(dataDir);
  const isOther = before !== undefined && before.owner.pid !== process.pid;
  if (isOther && isRunning(before.owner))
    throw new PenstockError('DATA_DIR_IN_USE', `${dataDir} is used by process ${before.owner.pid}.`);
  await clearLeftovers(dataDir, log);
  const owner = identifyProcess(process.pid);
  if (!owner) throw new PenstockError('SERVER_FAILED', 'This process cannot be identified.');
  const processes = new Map<string, PidRecord>();
  const write = () => writePidFile(dataDir, { owner, processes: [...processes.values()] });
  write();
  return {
    add: (name, pid, stopSignal) => {
      const identity = identifyProcess(pid);
      if (identity) processes.set(name, { name, ...identity, stopSignal });
      write();
    },
    remove: () => rmSync(pidFileOf(dataDir), { force: true }),
  };
}

/** Ends the processes that the folder's last owner left running: politely at first, after the grace by SIGKILL. */
export async function clearLeftovers(
  dataDir: string,
  log: (line: string) => void,
  graceMs = 10_000,
): Promise<void> {
  const left = (readPidFile(dataDir)?.processes ?? []).filter(isRunning);
  if (left.length === 0) return;
  log(
    `ending what an earlier start left running: ${left.map(({ name, pid }) => `${name} (${pid})`).join(', ')}`,
  );
  for (const { pid, stopSignal } of left) send(pid, stopSignal);
  if (await haveEnded(left, graceMs)) return;
  for (const { pid } of left.filter(isRunning)) send(pid, 'SIGKILL');
  await haveEnded(left, 10_000);
}

/** Whether the folder belongs to a process that is gone. */
export function isAbandoned(dataDir: string): boolean {
  const owner = readPidFile(dataDir)?.owner;
  return owner !== undefined && !isRunning(owner);
}

async function haveEnded(identities: readonly ProcessIdentity[], withinMs: number): Promise<boolean> {
  for (const until = Date.now() + withinMs; Date.now() < until; await delay(50))
    if (!identities.some(isRunning)) return true;
  return false;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
    // A frozen process would not hear the first one.
    process.kill(pid, 'SIGCONT');
  } catch {
    // It ended by itself.
  }
}

function readPidFile(dataDir: string): PidFileContent | undefined {
  try {
    return JSON.parse(readFileSync(pidFileOf(dataDir), 'utf8')) as PidFileContent;
  } catch {
    return undefined;
  }
}

/** In one step, so that a crash leaves the old or the new content. */
function writePidFile(dataDir: string, content: PidFileContent): void {
  mkdirSync(dataDir, { recursive: true });
  const draft = `${pidFileOf(dataDir)}.new`;
  writeFileSync(draft, JSON.stringify(content, null, 2));
  renameSync(draft, pidFileOf(dataDir));
}
