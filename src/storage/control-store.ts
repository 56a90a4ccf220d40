/** All stores of the API over one pool (src/ports/control-store.ts). */
import type { ControlStore } from '../ports/control-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import { createApiKeyStore } from './api-key-store.ts';
import { createBackfillStore } from './backfill-store.ts';
import { createConnectionStore } from './connection-store.ts';
import { createIdempotencyStore } from './idempotency-store.ts';
import { createRunControl } from './run-control.ts';
import { createPauseStore } from './pause-store.ts';
import type { StoreDeps } from './store-deps.ts';
import { createSyncStore } from './sync-store.ts';
import { createTenantStore } from './tenant-store.ts';

export function createControlStore(deps: StoreDeps & { secretBox: SecretBox }): ControlStore {
  return {
    tenants: createTenantStore(deps),
    apiKeys: createApiKeyStore(deps.pool),
    connections: createConnectionStore(deps),
    syncs: createSyncStore(deps),
    runs: createRunControl(deps),
    backfills: createBackfillStore(deps),
    pauses: createPauseStore(deps),
    idempotency: createIdempotencyStore(deps.pool),
  };
}
