/** Trying a connection out. */
import type { ConnectionId } from '../domain/ids.ts';

export interface ConnectionTester {
  /** Connects, logs in, reads the version. SOURCE_UNREACHABLE, SOURCE_AUTH and other SOURCE_ errors; never a secret. */
  test(connectionId: ConnectionId): Promise<{ version: string; elapsedMs: number }>;
}
