/**
 * Where the processor time of a copy goes: what each statement of the two databases took, which their server logs
 * (`log_statement_stats`), and what the whole machine did meanwhile. Logging it is work, too, so only a benchmark that is
 * about it does so.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { CopyStage } from './copy-stage.ts';
import { execute } from './servers.ts';
import { readMachineCpu } from './process-usage.ts';
import type { Turn } from './take-turns.ts';

/** Processor time in seconds, beside the mover's own. */
export interface ServerCpu {
  /** Of the sessions in the source, and in the destination. */
  readonly source: number;
  readonly destination: number;
  /** Of everything on this machine, the mover too. NaN where there is no /proc. */
  readonly machine: number;
}

/** From now on sessions of the two databases log what their statements take. */
export async function logStatementCpu({ stack }: CopyStage): Promise<void> {
  await execute(
    stack.servers.postgres.url,
    ...['bench_source', 'bench_destination'].map(
      (name) => `alter database ${name} set log_statement_stats = on`,
    ),
    `alter system set log_line_prefix = '%d '`,
    'select pg_reload_conf()',
  );
}

/** Runs a copy and adds what it took. */
export async function withServerCpu({ stack }: CopyStage, copy: () => Promise<Turn>): Promise<Turn> {
  const file = join(stack.addresses().dataDir, 'logs', 'postgres.log');
  const [from, machineBefore] = [readFileSync(file).length, readMachineCpu()];
  const turn = await copy();
  const machine = readMachineCpu() - machineBefore;
  await delay(flushMs);
  const took = sumStatements(readFileSync(file).toString('utf8', from));
  return {
    ...turn,
    serverCpu: { machine, source: took('bench_source'), destination: took('bench_destination') },
  };
}

/** Until what the server has logged is there. */
const flushMs = 500;

/** "<database> DETAIL:  ! system usage stats:", and in the next line "! 0.1 s user, 0.2 s system, 0.3 s elapsed". */
function sumStatements(log: string): (database: string) => number {
  const found = log.matchAll(/^(\w+) DETAIL: .*\n\s*!\s*([\d.]+) s user, ([\d.]+) s system/gm);
  const sums = new Map<string, number>();
  for (const [, database, user, system] of found)
    sums.set(database!, (sums.get(database!) ?? 0) + Number(user) + Number(system));
  return (database) => sums.get(database) ?? 0;
}
