/** Backfills: stretches of a sync's cursor that are read again, part by part, beside its due times. */
import type { BackfillRange } from '../domain/backfill.ts';
import type { RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { BackfillStatus, RunStatus } from '../domain/run-states.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

export interface Backfill extends BackfillRange {
  id: string;
  tenantId: TenantId;
  syncId: SyncId;
  syncName: string;
  status: BackfillStatus;
  parts: number;
  /** Parts whose run has succeeded. */
  done: number;
  /** Rows that they have read. */
  rows: number;
  /** The part that is queued or at work, or was the last, and its run. */
  current: { part: number; from: string; to: string; runId: RunId; status: RunStatus };
  createdAt: string;
  endedAt: string | null;
}

export interface BackfillStore {
  /**
   * Queues the first part of a backfill; the same request key gives the same one. NOT_FOUND, NOT_BACKFILLABLE, BAD_REQUEST
   * with a pointer; CONFLICT while another one of the sync is running.
   */
  start(
    scope: Scope,
    syncRef: string,
    request: BackfillRange & { requestKey: string | undefined },
  ): Promise<Backfill>;
  /** NOT_FOUND also for another tenant's. */
  fetch(scope: Scope, id: string): Promise<Backfill>;
  /** In the order of creation. */
  list(scope: Scope, filter: { syncId?: SyncId | undefined }, page: PageRequest): Promise<Page<Backfill>>;
  /** Ends it and cancels the run of its part in hand; one that has ended stays as it is. */
  cancel(scope: Scope, id: string): Promise<Backfill>;
}
