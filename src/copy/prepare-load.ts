/** Opens the load that a run works on, or finds the one it has to finish first. Repeatable. */
import type { RunId, SyncId } from '../domain/ids.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Destination, OpenLoad } from '../ports/destination.ts';
import type { Source } from '../ports/source.ts';

export interface PrepareRequest {
  run: RunId;
  sync: SyncId;
  syncVersion: number;
  spec: SyncSpec;
  /** Backfills never move the cursor. */
  movesCursor: boolean;
  signal: AbortSignal;
}

/**
 * Probes the query, makes the plan, continues an unfinished load with the same plan or opens a new one over the window
 * since the cursor. NOT_RESUMABLE, KEY_NULL, UNFINISHED_LOAD, CURSOR_MOVED, TARGET_*, SOURCE_*, DESTINATION_*.
 */
export function prepareLoad(
  _deps: { source: Source; destination: Destination },
  _request: PrepareRequest,
): Promise<OpenLoad> {
  return Promise.reject(new Error('not built yet'));
}
