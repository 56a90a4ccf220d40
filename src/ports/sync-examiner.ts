/** Looking at a sync's two databases without writing to either: what the API needs for its questions about them. */
import type { SyncId, TenantId } from '../domain/ids.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import type { SyncPlan } from '../domain/sync-plan.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { CheckedSync } from './sync-store.ts';

export interface SyncExaminer {
  /**
   * Compares what the sync has written with its source, until told to stop. CONFLICT while it has not finished a load;
   * TARGET_MISMATCH, SOURCE_ and DESTINATION_ errors.
   *
   * @param sync its connections by id
   */
  verify(
    sync: { id: SyncId; spec: SyncSpec },
    options: { maxExamples: number; signal: AbortSignal },
  ): Promise<VerifyReport>;
  /** What a run would do, and everything that it would be refused for. Writes nothing. */
  plan(sync: SyncToPlan): Promise<SyncPlan>;
}

export interface SyncToPlan extends CheckedSync {
  tenantId: TenantId;
  /** Null: the spec is no sync yet. */
  id: SyncId | null;
  spec: SyncSpec;
}
