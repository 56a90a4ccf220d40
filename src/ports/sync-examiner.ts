/** Looking at a sync's two databases without writing to either: what the API needs for its questions about them. */
import type { SyncId } from '../domain/ids.ts';
import type { VerifyReport } from '../domain/verify-report.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';

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
}
