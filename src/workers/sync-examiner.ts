/** Looks at a sync's databases for the API (src/ports/sync-examiner.ts), through the same adapters as the workers. */
import { describePace } from '../copy/describe-plan.ts';
import { planSync } from '../copy/plan-sync.ts';
import { verifyLoad } from '../copy/verify-load.ts';
import { newId, type ConnectionId } from '../domain/ids.ts';
import type { Destination } from '../ports/destination.ts';
import type { Source } from '../ports/source.ts';
import type { SyncExaminer } from '../ports/sync-examiner.ts';
import {
  fetchConnectionAccess,
  fetchDestinationAccess,
  fetchGrantedAccess,
} from '../storage/connection-access.ts';
import { fetchReadLimit } from '../storage/read-share.ts';
import { asEngine } from '../storage/transaction.ts';
import type { DatabaseAccessOptions } from './database-access.ts';

export function createSyncExaminer({ pool, secretBox, adapters }: DatabaseAccessOptions): SyncExaminer {
  return {
    verify: async ({ id, spec }, options) => {
      const sourceId = spec.source.connection as ConnectionId;
      const [from, to] = await Promise.all([
        fetchConnectionAccess(pool, secretBox, sourceId),
        fetchDestinationAccess(pool, secretBox, id),
      ]);
      const ends = { source: adapters.openSource(from), destination: adapters.openDestination(to) };
      return withEnds(ends, () => verifyLoad(ends, { sync: id, ...options }));
    },
    plan: async ({ id, tenantId, spec, source, destination, refusals }) => {
      const ends = {
        source: source && adapters.openSource(await fetchConnectionAccess(pool, secretBox, source)),
        destination:
          destination &&
          adapters.openDestination(
            await fetchGrantedAccess(pool, secretBox, { connectionId: destination, tenantId }),
          ),
      };
      const paced = source && (await asEngine(pool, (tx) => fetchReadLimit(tx, source)));
      const request = { sync: id ?? newId('sync'), syncVersion: 1, spec, refusals };
      const plan = await withEnds(ends, () => planSync(ends, request));
      if (paced) plan.warnings.push(describePace(paced, plan.read));
      return plan;
    },
  };
}

/** Works with the two ends and closes them. */
export async function withEnds<T>(
  { source, destination }: { source: Source | null; destination: Destination | null },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } finally {
    await Promise.allSettled([source?.close(), destination?.close()]);
  }
}
