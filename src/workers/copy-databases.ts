/** The composition root of `penstock copy` and its like: two databases, with nothing else around them. */
import { randomUUID } from 'node:crypto';
import { copyOnce, type CopyOnceRequest, type CopyOnceResult } from '../copy/copy-once.ts';
import type { CopyDeps } from '../copy/copy-partition.ts';
import { findCopySync } from '../copy/copy-sync.ts';
import { createRowMemory } from '../copy/row-memory.ts';
import { verifyLoad, type VerifyRequest } from '../copy/verify-load.ts';
import { openPostgresDestination } from '../destinations/postgres/postgres-destination.ts';
import { newId } from '../domain/ids.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import type { ConnectionAccess } from '../ports/connection.ts';
import { openPostgresSource } from '../sources/postgres/postgres-source.ts';
import { withEnds } from './sync-examiner.ts';

type Ends = Record<'from' | 'to', Omit<ConnectionAccess, 'connectionId' | 'kind'>>;
export type CopyRequest = Omit<CopyOnceRequest, 'run'>;

/** Runs one copy. */
export const copyDatabases = (ends: Ends, request: CopyRequest): Promise<CopyOnceResult> =>
  between(ends, (deps) => copyOnce(deps, { ...request, run: newId('run') }));

/** Compares what copies of that name have written to the table with their source. */
export const verifyDatabases = (
  ends: Ends,
  { table, name, ...request }: Omit<VerifyRequest, 'sync'> & { table: string; name: string },
): Promise<VerifyReport> =>
  between(ends, async (deps) => {
    const { sync } = await findCopySync(deps.destination, { table, name });
    return verifyLoad(deps, { sync, ...request });
  });

/** The hosts are the caller's own choice, so no network is refused. */
async function between<T>({ from, to }: Ends, work: (deps: CopyDeps) => Promise<T>): Promise<T> {
  const access = (end: Ends['from']): ConnectionAccess => ({
    ...end,
    connectionId: `con_${randomUUID()}`,
    kind: 'postgres',
  });
  const deps = {
    source: openPostgresSource(access(from), createRowMemory()),
    destination: openPostgresDestination(access(to)),
  };
  return withEnds(deps, () => work(deps));
}
