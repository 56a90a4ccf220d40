/** Waits for runs and shows how far they are. */
import { setTimeout as delay } from 'node:timers/promises';
import { PenstockError } from '../../domain/errors.ts';
import type { DemoApi, DemoRun } from './demo-api.ts';
import type { Step } from './progress.ts';

const lookEveryMs = 100;
/** What takes longer than this in the demo will not end at all. */
const patienceMs = 300_000;

/** Follows a run to its end. `rows` is what it is expected to read, for the bar. */
export async function followRun(api: DemoApi, runId: string, rows: number, step: Step): Promise<DemoRun> {
  return waitFor(`run ${runId} to end`, async () => {
    const run = await api.fetchRun(runId);
    const count = run.progress.rows.toLocaleString('en-US');
    step.move(run.progress.rows, rows, `${count} rows, ${run.status}`);
    return run.endedAt === null ? undefined : run;
  });
}

/** The sync's first run that is wanted. */
export const awaitRun = (
  api: DemoApi,
  syncId: string,
  what: string,
  isWanted: (run: DemoRun) => boolean,
): Promise<DemoRun> => waitFor(what, async () => (await api.listRuns(syncId)).toReversed().find(isWanted));

async function waitFor<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await delay(lookEveryMs)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new PenstockError('UNAVAILABLE', `Waited ${patienceMs / 1000} s for ${what}.`);
}
