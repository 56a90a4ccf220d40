/** What the API needs of a sync's destination: what became of its rows, and forgetting what was read. */
import type { SyncId } from '../domain/ids.ts';
import type { KeptReject, ResetPreview } from './destination.ts';
import type { Page, PageRequest } from './scope.ts';

export interface SyncDestination {
  /**
   * Forgets cursor and unfinished load in the destination, so that the next run reads everything; `deleteRows` also
   * empties the target. DESTINATION_ errors, TARGET_OWNED.
   */
  reset(syncId: SyncId, options: { deleteRows: boolean }): Promise<void>;
  /** Keeps the rows of the unfinished load as they are and abandons the rest of it. */
  accept(syncId: SyncId): Promise<void>;
  /** Keeps the cursor for the next run, although what it was kept for has changed. */
  keep(syncId: SyncId): Promise<void>;
  /** The rows that its target has refused. BAD_REQUEST for a cursor that is none. */
  listRejects(syncId: SyncId, page: PageRequest & { settled: boolean }): Promise<Page<KeptReject>>;
  /** What each of them would meet. */
  describe(syncId: SyncId): Promise<ResetPreview>;
}
