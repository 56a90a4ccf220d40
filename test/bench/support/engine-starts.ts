/** The engine's word on what was started: workflows of runs, when each began, and how fast they begin without a scheduler. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { runQueueOf, syncRunType } from '../../../src/workflows/names.ts';
import type { SubjectResult } from './bench-report.ts';
import { quantileOf } from './take-turns.ts';

/** Nobody works on it: workflows begin, and that is all. */
export const taskQueue = 'penstock';

export interface EngineStart {
  readonly workflowId: string;
  readonly atMs: number;
}

export type StartFigures = Required<Pick<SubjectResult, 'startsPerSecond' | 'lagMs' | 'seconds'>>;

export async function withEngine<T>(address: string, work: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await work(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

const ofRuns = `WorkflowType = '${syncRunType}'`;
/** Nothing began for so long: nothing more will. Longer than any lease of any subject. */
const silenceMs = 90_000;

/** Waits until so many workflows have begun, or no more do, and lists them. */
export async function readStarts(client: Client, count: number): Promise<EngineStart[]> {
  for (let [seen, sinceMs] = [-1, performance.now()]; performance.now() - sinceMs < silenceMs;) {
    const now = (await client.workflow.count(ofRuns)).count;
    if (now >= count) break;
    if (now !== seen) [seen, sinceMs] = [now, performance.now()];
    await sleep(1_000);
  }
  const starts: EngineStart[] = [];
  for await (const { workflowId, startTime } of client.workflow.list({ query: ofRuns, pageSize: 1_000 }))
    starts.push({ workflowId, atMs: startTime.getTime() });
  return starts;
}

/** How late they began, all being due at one instant, and how many a second until the last had. */
export function summarizeHerd(starts: readonly EngineStart[], dueMs: number): StartFigures {
  const lags = starts.map(({ atMs }) => atMs - dueMs);
  const lag = (part: number): number => quantileOf(lags, part);
  const seconds = lag(1) / 1_000;
  return {
    startsPerSecond: starts.length / seconds,
    lagMs: { p50: lag(0.5), p95: lag(0.95), p99: lag(0.99) },
    seconds: [seconds],
  };
}

/** With nothing but what a start must have. */
export async function startOne(client: Client, workflowId: string): Promise<void> {
  await client.workflow.start(syncRunType, {
    workflowId,
    taskQueue: runQueueOf(taskQueue),
    args: [{ runId: 'run_bare' }],
  });
}

/** Starts so many workflows, so many calls under way at once. Starts a second. */
export async function startBare(client: Client, count: number, concurrency: number): Promise<number> {
  const startedMs = performance.now();
  let left = count;
  const work = async (): Promise<void> => {
    while (left-- > 0) await startOne(client, `bare:${randomUUID()}`);
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return (count / (performance.now() - startedMs)) * 1_000;
}

/** The concurrency at which a bare loop is fastest, and how many starts a second it then reaches. */
export async function findBestLoop(
  client: Client,
  count: number,
): Promise<{ concurrency: number; startsPerSecond: number }> {
  const loops = [];
  for (const concurrency of [8, 32, 128])
    loops.push({ concurrency, startsPerSecond: await startBare(client, count, concurrency) });
  return loops.reduce((best, loop) => (loop.startsPerSecond > best.startsPerSecond ? loop : best));
}
