/** Ours: the whole product in charge, from the POST that triggers a sync to the end of its run. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client, ConnectionInput, RunAnswer, RunHandle } from '../../../src/client/index.ts';
import { forgetPeak, readCpuSeconds, readMemory } from './process-usage.ts';
import type { Turn } from './take-turns.ts';

export interface Penstock {
  readonly api: Client;
  readonly tenantId: string;
  /** The running workers: any of them may get the run. */
  readonly workers: () => readonly number[];
}

/** Creates the tenant and its two connections, `bench-source` and `bench-destination`. */
export async function linkBench(
  api: Client,
  connections: { source: ConnectionInput; destination: ConnectionInput },
  workers: () => readonly number[],
): Promise<Penstock> {
  const { id: tenantId } = await api.tenants.create({ name: 'bench' });
  await api.connections.create({ ...connections.source, tenantId });
  await api.connections.create({ ...connections.destination, tenantId });
  return { api, tenantId, workers };
}

/** Resident memory in MiB of the largest worker, ten seconds after the workers' start at the latest of them. */
export async function measureIdle({ workers }: Penstock, startedMs: number): Promise<number | null> {
  await delay(Math.max(0, startedMs + 10_000 - performance.now()));
  return largest(workers().map((pid) => readMemory(pid)?.nowMiB));
}

/** Copies the source's `lineitem` into a table that the run creates: a new sync for each turn. */
export async function runPenstock(
  { api, tenantId, workers }: Penstock,
  { table, turn, batchRows }: { table: string; turn: number; batchRows: number },
): Promise<Turn> {
  const { id } = await api.syncs.create({
    tenantId,
    name: `lineitem-${turn}`,
    source: { connection: 'bench-source', query: 'select * from lineitem' },
    destination: { connection: 'bench-destination', table },
    mode: 'append',
    key: ['l_orderkey', 'l_linenumber'],
    schedule: { manual: true },
    limits: { batchRows },
  });
  const pids = workers();
  pids.forEach(forgetPeak);
  const cpuBefore = cpuOf(pids);
  const start = performance.now();
  const triggered = await api.syncs.trigger(id);
  const run = await untilEnd(triggered);
  const seconds = (performance.now() - start) / 1000;
  if (run.status !== 'succeeded') throw new Error(`the run ended ${run.status}: ${run.error?.code}`);
  const rssMiB = largest(pids.map((pid) => readMemory(pid)?.peakMiB));
  return { seconds, cpuSeconds: cpuOf(pids) - cpuBefore, ...(rssMiB === null ? {} : { rssMiB }) };
}

/** Looks far more often than `wait` does, since that rounds up to a second. */
async function untilEnd(handle: RunHandle): Promise<RunAnswer> {
  for (;;) {
    const run = await handle.fetch();
    if (run.endedAt !== null) return run;
    await delay(50);
  }
}

const cpuOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (readCpuSeconds(pid) ?? 0), 0);

function largest(values: readonly (number | undefined)[]): number | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length > 0 ? Math.max(...known) : null;
}
