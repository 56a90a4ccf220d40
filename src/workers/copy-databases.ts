/** The composition root of `penstock copy`: the pipe between two databases, with nothing else around it. */
import { randomUUID } from 'node:crypto';
import { copyOnce, type CopyOnceRequest, type CopyOnceResult } from '../copy/copy-once.ts';
import { createRowMemory } from '../copy/row-memory.ts';
import { openPostgresDestination } from '../destinations/postgres/postgres-destination.ts';
import { newId } from '../domain/ids.ts';
import type { ConnectionAccess } from '../ports/connection.ts';
import { openPostgresSource } from '../sources/postgres/postgres-source.ts';

type Ends = Record<'from' | 'to', Omit<ConnectionAccess, 'connectionId' | 'kind'>>;

export type CopyRequest = Omit<CopyOnceRequest, 'run'>;

/** Runs one copy. The hosts are the caller's own choice, so no network is refused. */
export async function copyDatabases({ from, to }: Ends, request: CopyRequest): Promise<CopyOnceResult> {
  const access = (end: Ends['from']): ConnectionAccess => ({
    ...end,
    connectionId: `con_${randomUUID()}`,
    kind: 'postgres',
  });
  const source = openPostgresSource(access(from), createRowMemory());
  const destination = openPostgresDestination(access(to));
  try {
    return await copyOnce({ source, destination }, { ...request, run: newId('run') });
  } finally {
    await Promise.allSettled([source.close(), destination.close()]);
  }
}
