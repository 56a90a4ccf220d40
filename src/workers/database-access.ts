/** What the API needs of tenants' databases (src/ports/connection-tester.ts), through the same adapters as the workers. */
import type { Pool } from 'pg';
import type { SyncId } from '../domain/ids.ts';
import type { ConnectionTester } from '../ports/connection-tester.ts';
import type { SyncDestination } from '../ports/sync-destination.ts';
import type { Destination } from '../ports/destination.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { fetchConnectionAccess, fetchDestinationAccess } from '../storage/connection-access.ts';
import type { Adapters } from './adapters.ts';

export interface DatabaseAccessOptions {
  pool: Pool;
  secretBox: SecretBox;
  adapters: Adapters;
}

/** Connects as a source would, and reads nothing but the version. */
export const createConnectionTester = ({
  pool,
  secretBox,
  adapters,
}: DatabaseAccessOptions): ConnectionTester => ({
  test: async (connectionId) => {
    const source = adapters.openSource(await fetchConnectionAccess(pool, secretBox, connectionId));
    const since = performance.now();
    try {
      const { version } = await source.check();
      return { version, elapsedMs: Math.round(performance.now() - since) };
    } finally {
      await source.close();
    }
  },
});

/** Works on the destination that the sync has now. */
export function createSyncDestination({ pool, secretBox, adapters }: DatabaseAccessOptions): SyncDestination {
  const withDestination = async <T>(
    syncId: SyncId,
    work: (destination: Destination) => Promise<T>,
  ): Promise<T> => {
    const destination = adapters.openDestination(await fetchDestinationAccess(pool, secretBox, syncId));
    try {
      await destination.ensureSchema();
      return await work(destination);
    } finally {
      await destination.close();
    }
  };
  return {
    reset: (id, options) => withDestination(id, (destination) => destination.resetSync(id, options)),
    accept: (id) => withDestination(id, (destination) => destination.acceptLoad(id)),
    keep: (id) => withDestination(id, (destination) => destination.keepCursor(id)),
    listRejects: (id, page) => withDestination(id, (destination) => destination.listRejects(id, page)),
    describe: (id) => withDestination(id, (destination) => destination.describeReset(id)),
  };
}
