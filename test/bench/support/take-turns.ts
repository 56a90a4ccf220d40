/** Runs the subjects of a benchmark in turns, so that what else the machine does hits them alike; the median counts. */

import type { ServerCpu } from './server-cpu.ts';

/** What one run of a subject took. */
export interface Turn {
  readonly seconds: number;
  /** Peak resident memory of the copying process. */
  readonly rssMiB?: number;
  /** What it holds when idle. */
  readonly rssIdleMiB?: number;
  /** Processor time of the mover, without the servers. */
  readonly cpuSeconds?: number;
  /** What the destination's server has logged. */
  readonly walBytes?: number;
  readonly serverCpu?: ServerCpu;
}

export interface Subject {
  readonly name: string;
  /** One run from a clean state; preparing and checking are not part of `seconds`. */
  readonly run: (turn: number) => Promise<Turn>;
}

/**
 * Lets each subject run once, then each again, and so on.
 * @param turns how often each
 * @param log gets a line per run
 */
export async function takeTurns(
  subjects: readonly Subject[],
  turns: number,
  log: (line: string) => void,
): Promise<ReadonlyMap<string, readonly Turn[]>> {
  const results = new Map<string, Turn[]>(subjects.map(({ name }) => [name, []]));
  for (let turn = 1; turn <= turns; turn++)
    for (const { name, run } of subjects) {
      const result = await run(turn);
      results.get(name)!.push(result);
      log(`turn ${turn} of ${turns}: ${name} ${result.seconds.toFixed(2)} s`);
    }
  return results;
}

/** The value that so large a part of them does not exceed. NaN of nothing. */
export function quantileOf(values: readonly number[], part: number): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1] ?? Number.NaN;
}

/** The middle value; of an even number, the lower of the two in the middle. Undefined of nothing. */
export function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)];
}
