/** Data folders that nobody keeps: one per process, deleted with what a process that was killed left of its own. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { clearLeftovers, isAbandoned } from './pid-file.ts';

/**
 * A path for this process alone, below a folder for its kind; folders there whose processes are gone are deleted, after
 * ending what they left running.
 */
export async function takeOwnFolder(parent: string, log: (line: string) => void): Promise<string> {
  for (const name of await readdir(parent).catch(() => [])) {
    const dataDir = join(parent, name);
    if (!isAbandoned(dataDir)) continue;
    await clearLeftovers(dataDir, log);
    await rm(dataDir, { recursive: true, force: true });
  }
  return join(parent, String(process.pid));
}
