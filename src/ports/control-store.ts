/** The control database as the API sees it. */
import type { ApiKeyStore } from './api-key-store.ts';
import type { BackfillStore } from './backfill-store.ts';
import type { ConnectionStore } from './connection-store.ts';
import type { IdempotencyStore } from './idempotency-store.ts';
import type { PauseStore } from './pause-store.ts';
import type { RunControl } from './run-control.ts';
import type { SyncStore } from './sync-store.ts';
import type { TenantStore } from './tenant-store.ts';

export interface ControlStore {
  readonly tenants: TenantStore;
  readonly apiKeys: ApiKeyStore;
  readonly connections: ConnectionStore;
  readonly syncs: SyncStore;
  readonly runs: RunControl;
  readonly backfills: BackfillStore;
  readonly pauses: PauseStore;
  readonly idempotency: IdempotencyStore;
}
