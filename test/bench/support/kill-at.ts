/** A worker that dies in the middle of a copy. */
import { setTimeout as delay } from 'node:timers/promises';
import type { RunHandle } from '../../../src/client/index.ts';
import { findCopyingWorker } from '../../../src/dev/demo/kill-worker.ts';
import type { CopyStage } from './copy-stage.ts';

/** Kills the worker that copies (SIGKILL), once so many rows are committed. */
export async function killAt({ stack }: CopyStage, run: RunHandle, rows: number): Promise<void> {
  while ((await run.progress()).rows < rows) await delay(100);
  const pid = await findCopyingWorker(stack.servers.postgres.urlOf('penstock'), run.id);
  if (pid === undefined) throw new Error('the run was over before its worker could be killed');
  process.kill(pid, 'SIGKILL');
}
