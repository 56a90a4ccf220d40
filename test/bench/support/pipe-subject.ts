/** The pipe alone, in this process: for what a sync cannot choose. */
import { copyPartition } from '../../../src/copy/copy-partition.ts';
import { prepareLoad } from '../../../src/copy/prepare-load.ts';
import { createRowMemory } from '../../../src/copy/row-memory.ts';
import { openPostgresDestination } from '../../../src/destinations/postgres/postgres-destination.ts';
import { newId } from '../../../src/domain/ids.ts';
import { syncSpecSchema } from '../../../src/domain/sync-spec.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { accessOf, readBy } from '../../support/pipe-room.ts';
import type { CopyStage } from './copy-stage.ts';
import type { Turn } from './take-turns.ts';

interface PipeCopy {
  query: string;
  table: string;
  key: readonly string[];
  reader: 'copy' | 'cursor';
}

/** Prepares, copies and finishes one load. */
export async function copyInProcess(stage: CopyStage, { reader, ...copy }: PipeCopy): Promise<Turn> {
  const memory = createRowMemory();
  const source = openPostgresSource(accessOf(stage.source), memory);
  const destination = openPostgresDestination(accessOf(stage.destination));
  const spec = syncSpecSchema.parse({
    name: 'pipe',
    source: { connection: 'source', query: copy.query },
    destination: { connection: 'destination', table: copy.table },
    mode: 'append',
    key: [...copy.key],
  });
  const run = newId('run');
  const { signal } = new AbortController();
  const cpuBefore = process.cpuUsage();
  const startedMs = performance.now();
  const load = await prepareLoad(
    { source: readBy(reader, source), destination },
    { run, sync: newId('sync'), syncVersion: 1, spec, signal },
  );
  await copyPartition(
    { source, destination },
    {
      run,
      load: load.loadId,
      partition: 1,
      epoch: '1',
      limits: { rows: 50_000, bytes: 16 * 1024 * 1024, timeMs: 5_000 },
      yieldAfterMs: 1_800_000,
      readAnewAfterMs: 1_800_000,
      rowTimeoutMs: 300_000,
      signal,
      drain: () => false,
      onProgress: () => {},
    },
  );
  await destination.finish({ run, load: load.loadId });
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpuBefore);
  await Promise.all([source.close(), destination.close()]);
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}
