/** The composition root of `penstock copy` and its like: two databases, with nothing else around them. */
import { randomUUID } from 'node:crypto';
import { copyOnce, type CopyOnceRequest, type CopyOnceResult } from '../copy/copy-once.ts';
import type { CopyDeps } from '../copy/copy-partition.ts';
import { findCopySync, type CopySync } from '../copy/copy-sync.ts';
import { createRowMemory } from '../copy/row-memory.ts';
import { planSync } from '../copy/plan-sync.ts';
import { verifyLoad, type VerifyRequest } from '../copy/verify-load.ts';
import { openPostgresDestination } from '../destinations/postgres/postgres-destination.ts';
import { newId, type SyncId } from '../domain/ids.ts';
import type { SyncPlan } from '../domain/sync-plan.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import type { ConnectionAccess } from '../ports/connection.ts';
import { openPostgresSource } from '../sources/postgres/postgres-source.ts';
import { withEnds } from './sync-examiner.ts';

type Ends = Record<'from' | 'to', Omit<ConnectionAccess, 'connectionId' | 'kind'>>;
/** A sync, or the copies of a table, scope and name. */
export type VerifyOf = SyncId | CopySync;
export type CopyRequest = Omit<CopyOnceRequest, 'run'>;

/** Runs one copy. */
export const copyDatabases = (ends: Ends, request: CopyRequest): Promise<CopyOnceResult> =>
  between(ends, (deps) => copyOnce(deps, { ...request, run: newId('run') }));

/** What a copy would do; the spec's name is the copy's. */
export const planDatabases = (ends: Ends, spec: SyncSpec): Promise<SyncPlan> =>
  between(ends, async (deps) => {
    const { name, scope, destination } = spec;
    const { sync } = await findCopySync(deps.destination, { table: destination.table, name, scope });
    return planSync(deps, { sync, syncVersion: 1, spec });
  });

/** Compares what a sync, or copies of that name, have written to the table with their source. */
export const verifyDatabases = (
  ends: Ends,
  { of, ...request }: Omit<VerifyRequest, 'sync'> & { of: VerifyOf },
): Promise<VerifyReport> =>
  between(ends, async (deps) => {
    const sync = typeof of === 'string' ? of : (await findCopySync(deps.destination, of)).sync;
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
