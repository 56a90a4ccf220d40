/** Ours: the whole product in charge, from the POST that triggers a sync to the end of its run. */
import { setTimeout as delay } from 'node:timers/promises';
import type {
  Client,
  ConnectionInput,
  RunAnswer,
  RunHandle,
  SyncSpecInput,
} from '../../../src/client/index.ts';
import { forgetPeak, readCpuSeconds, readMemory } from './process-usage.ts';
import type { Turn } from './take-turns.ts';

export interface Penstock {
  readonly api: Client;
  readonly tenantId: string;
  /** The running workers: any of them may get the run. */
  readonly workers: () => readonly number[];
  /** Resident memory of the largest worker before it had work. */
  readonly idleMiB: number | null;
}

/** Creates the tenant and its two connections, `bench-source` and `bench-destination`. */
export async function linkBench(
  api: Client,
  connections: { source: ConnectionInput; destination: ConnectionInput },
  workers: () => readonly number[],
  startedMs: number,
): Promise<Penstock> {
  const { id: tenantId } = await api.tenants.create({ name: 'bench' });
  await api.connections.create({ ...connections.source, tenantId });
  await api.connections.create({ ...connections.destination, tenantId });
  return { api, tenantId, workers, idleMiB: await measureIdle(workers, startedMs) };
}

/** Resident memory in MiB of the largest worker, ten seconds after the workers' start. */
async function measureIdle(workers: Penstock['workers'], startedMs: number): Promise<number | null> {
  await delay(Math.max(0, startedMs + 10_000 - performance.now()));
  return largest(workers().map((pid) => readMemory(pid)?.nowMiB));
}

export interface PenstockCopy {
  name: string;
  query: string;
  table: string;
  mode: SyncSpecInput['mode'];
  key: readonly string[];
  limits?: SyncSpecInput['limits'];
}

/** Creates the sync of a copy; its id. */
export async function createSync(
  { api, tenantId }: Penstock,
  { query, table, key, ...spec }: PenstockCopy,
): Promise<string> {
  const { id } = await api.syncs.create({
    ...spec,
    tenantId,
    key: [...key],
    source: { connection: 'bench-source', query },
    destination: { connection: 'bench-destination', table },
    schedule: { manual: true },
  });
  return id;
}

/** One run of a sync. `during` may follow it, or disturb it. */
export async function runSync(
  { api, workers, idleMiB }: Penstock,
  syncId: string,
  during?: (run: RunHandle) => Promise<unknown>,
): Promise<Turn & { run: RunAnswer }> {
  const pids = workers();
  pids.forEach(forgetPeak);
  const cpuBefore = cpuOf(pids);
  const triggeredMs = Date.now();
  const handle = await api.syncs.trigger(syncId);
  const [run] = await Promise.all([handle.wait(), during?.(handle)]);
  if (run.status !== 'succeeded') throw new Error(`the run ended ${run.status}: ${run.error?.code}`);
  // By the control database's clock, which is this machine's: looking often would cost the copy time.
  const seconds = (Date.parse(run.endedAt!) - triggeredMs) / 1000;
  const rssMiB = largest(pids.map((pid) => readMemory(pid)?.peakMiB));
  return {
    run,
    seconds,
    ...(pids.every((pid) => readCpuSeconds(pid) !== undefined)
      ? { cpuSeconds: cpuOf(pids) - cpuBefore }
      : {}),
    ...(rssMiB === null ? {} : { rssMiB }),
    ...(idleMiB === null ? {} : { rssIdleMiB: idleMiB }),
  };
}

const cpuOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (readCpuSeconds(pid) ?? 0), 0);

function largest(values: readonly (number | undefined)[]): number | null {
  const known = values.flatMap((value) => value ?? []);
  return known.length > 0 ? Math.max(...known) : null;
}
