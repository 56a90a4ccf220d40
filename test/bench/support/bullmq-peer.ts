/**
 * BullMQ's job schedulers, as a peer that starts a workflow for each job, as ours does for each run. Optional, because
 * nothing else needs the package: `npm install --no-save bullmq@6.7.0`.
 */
import type { Client } from '@temporalio/client';
import { startOne } from './engine-starts.ts';

/** What is used of the package, which need not be there when types are checked. */
export interface Bullmq {
  readonly Queue: new (
    name: string,
    options: { connection: object },
  ) => {
    upsertJobScheduler(id: string, repeat: { pattern: string; tz: string }, job: object): Promise<unknown>;
    close(): Promise<void>;
  };
  readonly Worker: new (
    name: string,
    work: (job: { id?: string }) => Promise<void>,
    options: { connection: object; concurrency: number },
  ) => { on(event: 'error', note: () => void): void; close(force: boolean): Promise<void> };
}

export interface BullmqHerd {
  readonly redisUrl: string;
  readonly client: Client;
  readonly count: number;
  /** A whole second. */
  readonly dueMs: number;
  /** Jobs at work at once. */
  readonly concurrency: number;
}

/** Undefined when it is not installed. */
export const loadBullmq = (name = 'bullmq'): Promise<Bullmq | undefined> =>
  import(name).then(
    (module) => module as Bullmq,
    () => undefined,
  );

/** Creates the job schedulers and a worker. Returns what closes both. */
export async function startBullmq(
  { Queue, Worker }: Bullmq,
  { redisUrl, client, count, dueMs, concurrency }: BullmqHerd,
): Promise<() => Promise<void>> {
  const { hostname: host, port } = new URL(redisUrl);
  const connection = { host, port: Number(port), maxRetriesPerRequest: null };
  const at = new Date(dueMs);
  const pattern = [
    at.getUTCSeconds(),
    at.getUTCMinutes(),
    at.getUTCHours(),
    at.getUTCDate(),
    at.getUTCMonth() + 1,
    '*',
  ].join(' ');
  const queue = new Queue('herd', { connection });
  for (let n = 0; n < count; n += 100)
    await Promise.all(
      Array.from({ length: Math.min(100, count - n) }, (_, i) =>
        queue.upsertJobScheduler(`schedule-${n + i}`, { pattern, tz: 'UTC' }, { name: 'run' }),
      ),
    );
  const worker = new Worker('herd', (job) => startOne(client, `bullmq:${job.id}`), {
    connection,
    concurrency,
  });
  worker.on('error', () => {});
  return async () => {
    await worker.close(true);
    await queue.close();
  };
}
