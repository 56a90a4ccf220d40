/** What the API needs of tenants' databases (src/ports/connection-tester.ts), through the same adapters as the workers. */
import type { Pool } from 'pg';
import type { ConnectionAccess } from '../ports/connection.ts';
import type { ConnectionTester, SyncResetter } from '../ports/connection-tester.ts';
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
export function createSyncResetter({ pool, secretBox, adapters }: DatabaseAccessOptions): SyncResetter {
  const withDestination = async (
    access: Promise<ConnectionAccess>,
    work: (destination: Destination) => Promise<void>,
  ): Promise<void> => {
    const destination = adapters.openDestination(await access);
    try {
      await destination.ensureSchema();
      await work(destination);
    } finally {
      await destination.close();
    }
  };
  return {
    reset: (syncId, options) =>
      withDestination(fetchDestinationAccess(pool, secretBox, syncId), (destination) =>
        destination.resetSync(syncId, options),
      ),
    accept: (syncId) =>
      withDestination(fetchDestinationAccess(pool, secretBox, syncId), (destination) =>
        destination.acceptLoad(syncId),
      ),
  };
}
