/** The peer that every Postgres administrator has at hand: `psql COPY | psql COPY`, in a shell. */
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { childrenOf, readCpuSeconds, readMemory } from './process-usage.ts';
import type { Turn } from './take-turns.ts';

/** Exits with a line that says what to install when there is no psql. */
export function requirePsql(): void {
  if (spawnSync('psql', ['--version']).status === 0) return;
  process.stderr.write(
    'bench: psql, the peer of this benchmark, is not on PATH. Debian: apt-get install postgresql-client; ' +
      'macOS: brew install libpq, and add its bin folder to PATH.\n',
  );
  process.exit(1);
}

export type CopyFormat = 'text' | 'binary';

export interface PsqlPipe {
  format: CopyFormat;
  /** `rows`: a table, or a query in parentheses. */
  source: { url: string; rows: string };
  /** With statements before or after, all of it is one transaction. */
  destination: { url: string; table: string; before?: readonly string[]; after?: readonly string[] };
}

/** Runs `psql COPY | psql COPY`. */
export async function runPsqlPipe({ format, source, destination }: PsqlPipe): Promise<Turn> {
  const { before = [], after = [] } = destination;
  const copyIn = `copy ${destination.table} from stdin (format ${format})`;
  const statements =
    before.length + after.length > 0 ? ['begin', ...before, copyIn, ...after, 'commit'] : [copyIn];
  const script =
    `psql -X "$1" -c "$2" | ` +
    `psql -X -q "$3" -v ON_ERROR_STOP=1 ${statements.map((_, i) => `-c "\${${i + 4}}"`).join(' ')}`;
  const copyOut = `copy ${source.rows} to stdout (format ${format})`;
  const args = [source.url, copyOut, destination.url, ...statements];
  const cpuBefore = readCpuSeconds(process.pid, 'children') ?? 0;
  const start = performance.now();
  const shell = spawn('sh', ['-c', script, 'sh', ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = new Promise<number>((resolve, reject) => {
    shell.once('error', reject);
    shell.once('close', (code) => resolve(code ?? 1));
  });
  const peaks = new Map<number, number>();
  const watching = new AbortController();
  const watch = watchPeaks(shell.pid ?? 0, peaks, watching.signal);
  const code = await ended;
  const seconds = (performance.now() - start) / 1000;
  watching.abort();
  await watch;
  if (code !== 0) throw new Error(`the psql pipe ended with code ${code}`);
  const cpuAfter = readCpuSeconds(process.pid, 'children');
  return {
    seconds,
    ...(peaks.size > 0 ? { rssMiB: Math.max(...peaks.values()) } : {}),
    ...(cpuAfter === undefined ? {} : { cpuSeconds: cpuAfter - cpuBefore }),
  };
}

/** Looks ten times a second: a peak, once reached, stays in the kernel's count while the process lives. */
async function watchPeaks(shell: number, peaks: Map<number, number>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const pid of childrenOf(shell)) {
      const memory = readMemory(pid);
      if (memory) peaks.set(pid, memory.peakMiB);
    }
    await delay(100, undefined, { signal }).catch(() => {});
  }
}
