/** What a benchmark finds: medians and bars, and where and when it found them. */
import type { ServerCpu } from './server-cpu.ts';
import { medianOf, type Turn } from './take-turns.ts';

export interface Machine {
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly node: string;
  readonly postgres: string;
  readonly redis: string;
  readonly temporal: string;
}

/** One subject's medians. Fixed names: `penstock`, `psql-text`, `psql-binary` … */
export interface SubjectResult {
  readonly subject: string;
  readonly runs: number;
  /** Of copies. */
  readonly rowsPerSecond?: number;
  /** Of schedules, with how long after its due time a run was started. */
  readonly startsPerSecond?: number;
  readonly lagMs?: { readonly p50: number; readonly p95: number; readonly p99: number };
  /** Of whole runs, from their due time to the last receipt; with the processor time of each process for one of them. */
  readonly runsPerSecond?: number;
  readonly cpuPerRunMs?: Readonly<Record<string, number>>;
  /** Of what is done to a run: from the call until the run's answer says so. */
  readonly shownMs?: { readonly p50: number; readonly p99: number; readonly most: number };
  /** Of a function. */
  readonly callsPerSecond?: number;
  /** Each run, in order. */
  readonly seconds: readonly number[];
  readonly rssMiB: number | null;
  readonly rssIdleMiB: number | null;
  readonly cpuSeconds: number | null;
  /** Of the servers' log, which all databases share; left out where the amount tells nothing. */
  readonly walMiB?: number | null;
  /** Processor seconds of the sessions in the source and in the destination, and of all else but the mover. */
  readonly serverCpu?: { readonly source: number; readonly destination: number; readonly rest: number };
}

/** What was promised, and whether it holds here. */
export interface Bar {
  readonly bar: string;
  readonly wanted: string;
  readonly measured: number | null;
  /** null: it could not be measured on this machine. */
  readonly holds: boolean | null;
}

/** What a benchmark finds. */
export interface Findings {
  readonly name: string;
  /** Rows copied in each run, by each subject that does not say otherwise; of schedules, how many there are. */
  readonly rows: number;
  /** What `rows` counts, where it is neither rows nor schedules. */
  readonly rowsAre?: string;
  readonly subjects: readonly SubjectResult[];
  readonly bars: readonly Bar[];
}

/** As it is kept, in `bench-results/<name>.json`. */
export interface BenchResult extends Findings {
  /** Of the checkout; `-dirty` when files differ from it. */
  readonly commit: string;
  readonly machine: Machine;
  /** Ours divided by theirs. */
  readonly ratios: Readonly<Record<string, number>>;
}

/** Medians of one subject's runs. */
export function summarize(subject: string, rows: number, turns: readonly Turn[]): SubjectResult {
  const median = (of: (turn: Turn) => number | undefined): number | null =>
    medianOf(turns.flatMap((turn) => of(turn) ?? [])) ?? null;
  const walBytes = median((turn) => turn.walBytes);
  const server = (of: (cpu: ServerCpu, mover: number) => number): number =>
    median((turn) => turn.serverCpu && of(turn.serverCpu, turn.cpuSeconds ?? 0)) ?? Number.NaN;
  return {
    subject,
    runs: turns.length,
    rowsPerSecond: rows / (median((turn) => turn.seconds) ?? Number.NaN),
    seconds: turns.map((turn) => turn.seconds),
    // A peak counts as it is: the highest of all runs.
    rssMiB: turns.some((turn) => turn.rssMiB) ? Math.max(...turns.map((turn) => turn.rssMiB ?? 0)) : null,
    rssIdleMiB: turns[0]?.rssIdleMiB ?? null,
    cpuSeconds: median((turn) => turn.cpuSeconds),
    ...(walBytes === null ? {} : { walMiB: walBytes / 1024 / 1024 }),
    ...(turns.some((turn) => turn.serverCpu) && {
      serverCpu: {
        source: server((cpu) => cpu.source),
        destination: server((cpu) => cpu.destination),
        rest: server((cpu, mover) => cpu.machine - cpu.source - cpu.destination - mover),
      },
    }),
  };
}

export function rateOf(subjects: readonly SubjectResult[], name: string): number | undefined {
  const found = subjects.find(({ subject }) => subject === name);
  return found?.rowsPerSecond ?? found?.runsPerSecond;
}

/** Our rows/s divided by a peer's. A peer that was not measured leaves the bar open. */
export function rateBar(
  subjects: readonly SubjectResult[],
  peer: string,
  wanted: number,
  ours = 'penstock',
): Bar {
  const [mine, theirs] = [rateOf(subjects, ours), rateOf(subjects, peer)];
  const measured = mine === undefined || theirs === undefined ? null : mine / theirs;
  return {
    bar: `rows/s ÷ ${peer}`,
    wanted: `≥ ${wanted}`,
    measured,
    holds: measured === null ? null : measured >= wanted,
  };
}

/** A figure that must not be larger. */
export const atMost = (bar: string, wanted: number, measured: number | null): Bar => ({
  bar,
  wanted: `≤ ${wanted}`,
  measured,
  holds: measured === null ? null : measured <= wanted,
});

/** A copying worker's peak above what it held when idle, of all its subjects the largest. */
export function memoryBar(subjects: readonly SubjectResult[]): Bar {
  const growths = subjects.flatMap(({ rssMiB, rssIdleMiB }) =>
    rssMiB === null || rssIdleMiB === null ? [] : [rssMiB - rssIdleMiB],
  );
  return atMost('worker RSS above idle, MiB', 100, growths.length > 0 ? Math.max(...growths) : null);
}
