/** Waits for runs and shows how far they are. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, RunAnswer } from '../../client/index.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { Step } from './progress.ts';

const lookEveryMs = 250;
/** What takes longer than this in the demo will not end at all. */
const patienceMs = 300_000;

/** Follows a run to its end. `rows` is what it is expected to read, for the bar. */
export const followRun = (api: Client, runId: string, rows: number, step: Step): Promise<RunAnswer> =>
  api.runs.of(runId).wait({
    signal: AbortSignal.timeout(patienceMs),
    lookEveryS: 1,
    onLook: ({ progress, status }) =>
      step.move(progress.rows, rows, `${progress.rows.toLocaleString('en-US')} rows, ${status}`),
  });

/** The sync's first run that is wanted. */
export async function awaitRun(
  api: Client,
  syncId: string,
  what: string,
  isWanted: (run: RunAnswer) => boolean,
): Promise<RunAnswer> {
  for (const until = Date.now() + patienceMs; Date.now() < until; await delay(lookEveryMs)) {
    const found = (await listRuns(api, syncId)).find(isWanted);
    if (found !== undefined) return found;
  }
  throw new PenstockError('UNAVAILABLE', `Waited ${patienceMs / 1000} s for ${what}.`);
}

/** All runs of a sync, oldest first. */
export async function listRuns(api: Client, syncId: string): Promise<readonly RunAnswer[]> {
  const runs: RunAnswer[] = [];
  let cursor: string | undefined;
  do {
    const page = await api.runs.list({ syncId, limit: 100, cursor });
    runs.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  return runs.toReversed();
}
