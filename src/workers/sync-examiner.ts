/** Looks at a sync's databases for the API (src/ports/sync-examiner.ts), through the same adapters as the workers. */
import { verifyLoad } from '../copy/verify-load.ts';
import type { ConnectionId } from '../domain/ids.ts';
import type { Destination } from '../ports/destination.ts';
import type { Source } from '../ports/source.ts';
import type { SyncExaminer } from '../ports/sync-examiner.ts';
import { fetchConnectionAccess, fetchDestinationAccess } from '../storage/connection-access.ts';
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
  };
}

/** Works with the two ends and closes them. */
export async function withEnds<T>(
  { source, destination }: { source: Source; destination: Destination },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } finally {
    await Promise.allSettled([source.close(), destination.close()]);
  }
}
