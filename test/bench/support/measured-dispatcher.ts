/** A dispatcher as a process of its own, with what it takes and how late it starts runs. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import type { SubjectResult } from './bench-report.ts';
import type { CountedStart, ToDispatcher } from './counting-dispatcher.ts';
import { childrenOf, readCpuSeconds, readMachineCpu, readMemory } from './process-usage.ts';

export interface MeasuredDispatcher {
  readonly filledSeconds: number;
  /** Percent of one processor over so many seconds. */
  readonly watchCpu: (seconds: number) => Promise<{ dispatcher: number; redis: number }>;
  /** Begins to count processor time; returns what has been used since, in seconds. */
  readonly noteCpu: () => () => CpuSeconds;
  /** What was started since they were taken last. */
  readonly listStarts: () => Promise<readonly CountedStart[]>;
  /** The same, summed up. */
  readonly takeStarts: () => Promise<Starts>;
  /** The first so many of what has fallen due since then. */
  readonly takeStartsUntil: (count: number, dueFromMs: number) => Promise<Starts>;
  readonly readMemory: () => ReturnType<typeof readMemory>;
  readonly stop: () => Promise<void>;
  /** As a machine that loses its power. */
  readonly kill: () => Promise<void>;
}

/** Processor time in seconds; NaN without /proc. */
export interface CpuSeconds {
  readonly dispatcher: number;
  readonly redis: number;
  /** The server and its sessions, those that have ended, too. */
  readonly postgres: number;
  /** All that this machine did. */
  readonly machine: number;
}

export interface Starts {
  readonly figures: Required<Pick<SubjectResult, 'startsPerSecond' | 'lagMs'>>;
  /** From the first to the last. */
  readonly seconds: number;
}

export interface Place {
  readonly controlUrl: string;
  readonly redisUrl: string;
  readonly redisPid: number;
  readonly postgresPid: number;
  /** Where runs are started; undefined: they are only counted. */
  readonly engineAddress: string | undefined;
  /** A run that is `starting` for longer is started again: nobody works, so by default none is. */
  readonly ticketMs?: number | undefined;
  readonly client: Redis;
}

/** Starts it on an empty index; resolves when it has filled that. */
export async function startDispatcher({
  controlUrl,
  redisUrl,
  redisPid,
  postgresPid,
  engineAddress,
  ticketMs = 3_600_000,
  client,
}: Place): Promise<MeasuredDispatcher> {
  const startedMs = performance.now();
  const args = [controlUrl, redisUrl, String(ticketMs), engineAddress ?? ''];
  const child = fork(new URL('counting-dispatcher.ts', import.meta.url), args, {
    execArgv: ['--import', new URL('../../support/register-ts.mjs', import.meta.url).href],
  });
  const pid = child.pid!;
  while (!(await isFilled(client))) await sleep(50);
  const filledSeconds = (performance.now() - startedMs) / 1_000;
  return {
    filledSeconds,
    watchCpu: (seconds) => watchCpu({ dispatcher: pid, redis: redisPid }, seconds),
    noteCpu: () => noteCpu({ dispatcher: pid, redis: redisPid, postgres: postgresPid }),
    listStarts: () => takeStarts(child),
    takeStarts: async () => summarizeStarts(await takeStarts(child)),
    async takeStartsUntil(count, dueFromMs) {
      const starts: CountedStart[] = [];
      while (starts.length < count) {
        await sleep(500);
        starts.push(...(await takeStarts(child)).filter(({ dueMs }) => dueMs >= dueFromMs));
      }
      return summarizeStarts(starts.slice(0, count));
    },
    readMemory: () => readMemory(pid),
    async stop() {
      child.send('stop' satisfies ToDispatcher);
      await once(child, 'exit');
    },
    async kill() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function isFilled(client: Redis): Promise<boolean> {
  const [marker] = await client.keys('{penstock}:*:filled');
  return marker !== undefined && (await client.get(marker)) === 'all';
}

async function takeStarts(child: ChildProcess): Promise<readonly CountedStart[]> {
  child.send('report' satisfies ToDispatcher);
  const [starts] = (await once(child, 'message')) as [readonly CountedStart[]];
  return starts;
}

async function watchCpu<Name extends string>(
  pids: Record<Name, number>,
  seconds: number,
): Promise<Record<Name, number>> {
  const read = (): [Name, number][] =>
    (Object.entries(pids) as [Name, number][]).map(([name, pid]) => [name, readCpuSeconds(pid) ?? NaN]);
  const before = Object.fromEntries(read()) as Record<Name, number>;
  await sleep(seconds * 1_000);
  return Object.fromEntries(
    read().map(([name, used]) => [name, ((used - before[name]) / seconds) * 100]),
  ) as Record<Name, number>;
}

function noteCpu(pids: Record<'dispatcher' | 'redis' | 'postgres', number>): () => CpuSeconds {
  const own = (pid: number): number => readCpuSeconds(pid) ?? NaN;
  const read = (): CpuSeconds => ({
    dispatcher: own(pids.dispatcher),
    redis: own(pids.redis),
    postgres: [own(pids.postgres), readCpuSeconds(pids.postgres, 'children') ?? NaN]
      .concat(childrenOf(pids.postgres).map((pid) => readCpuSeconds(pid) ?? 0))
      .reduce((sum, seconds) => sum + seconds),
    machine: readMachineCpu(),
  });
  const before = read();
  return () => {
    const now = read();
    return {
      dispatcher: now.dispatcher - before.dispatcher,
      redis: now.redis - before.redis,
      postgres: now.postgres - before.postgres,
      machine: now.machine - before.machine,
    };
  };
}

export function summarizeStarts(starts: readonly CountedStart[]): Starts {
  if (starts.length === 0) throw new Error('nothing was started');
  const lags = starts.map(({ atMs, dueMs }) => atMs - dueMs);
  const times = starts.map(({ atMs }) => atMs).sort((a, b) => a - b);
  const seconds = (times.at(-1)! - times[0]!) / 1_000;
  return {
    figures: {
      startsPerSecond: starts.length / seconds,
      lagMs: lagsOf(lags),
    },
    seconds,
  };
}

/** The percentiles that a report shows. */
export function lagsOf(lags: readonly number[]): NonNullable<SubjectResult['lagMs']> {
  const sorted = [...lags].sort((a, b) => a - b);
  const lag = (q: number): number => sorted[Math.ceil(q * sorted.length) - 1]!;
  return { p50: lag(0.5), p95: lag(0.95), p99: lag(0.99) };
}
