/** Schedulers in Python, as peers: their own processes put what is due on a queue in Redis, which is watched from here. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface PythonPeer {
  readonly name: string;
  /** What it imports. */
  readonly module: string;
  /** Of this folder: a program that is started with a Redis URL, how many are due, and when. */
  readonly program: string;
  /** The list that it puts jobs on. */
  readonly queue: string;
}

export const pythonPeers: readonly PythonPeer[] = [
  { name: 'rq-scheduler', module: 'rq_scheduler', program: 'rq-scheduler-peer.py', queue: 'rq:queue:herd' },
  { name: 'redbeat', module: 'redbeat', program: 'redbeat-peer.py', queue: 'herd' },
];

/** How often the queue is looked at: no lag is known better. */
const lookMs = 20;

/** Whether the `python3` on PATH has it. */
export async function isInstalled({ module }: PythonPeer): Promise<boolean> {
  const child = spawn('python3', ['-c', `import ${module}`], { stdio: 'ignore' });
  const code = await Promise.race([once(child, 'exit').then(([exit]) => exit as number), failed(child)]);
  return code === 0;
}

const failed = (child: ChildProcess): Promise<number> =>
  new Promise((resolve) => void child.once('error', () => resolve(-1)));

/** Puts so many on the queue at an instant; how late each came, in ms. */
export async function watchPeer(
  peer: PythonPeer,
  { redisUrl, count, dueMs }: { redisUrl: string; count: number; dueMs: number },
): Promise<number[]> {
  const program = fileURLToPath(new URL(peer.program, import.meta.url));
  const child = spawn('python3', [program, redisUrl, String(count), String(dueMs)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const redis = new Redis(redisUrl);
  try {
    await once(child.stdout, 'data');
    if (Date.now() > dueMs) throw new Error(`${peer.name} took too long: they were due meanwhile`);
    await sleep(dueMs - Date.now());
    const lags: number[] = [];
    while (lags.length < count) {
      if (child.exitCode !== null) throw new Error(`${peer.name} has ended with ${lags.length} on its queue`);
      const there = await redis.llen(peer.queue);
      for (const lagMs = Date.now() - dueMs; lags.length < Math.min(there, count);) lags.push(lagMs);
      await sleep(lookMs);
    }
    return lags;
  } finally {
    redis.disconnect();
    child.kill('SIGKILL');
  }
}
