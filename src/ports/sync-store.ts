/**
 * Syncs: saved query, destination, mode and schedule; versioned. Every change settles the sync under its old spec
 * first, in the same transaction, so that no due time is lost or doubled, and tells the index after the commit.
 */
import type { Cadence } from '../domain/cadence.ts';
import type { PenstockError } from '../domain/errors.ts';
import type { ResetWay } from '../domain/reset-ways.ts';
import type { ConnectionId, RunId, SyncId, TenantId } from '../domain/ids.ts';
import type { SlotOutcome } from '../domain/run-states.ts';
import type { SyncSpec } from '../domain/sync-spec.ts';
import type { Pause, PauseTerms } from './pause-store.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

export interface Sync {
  id: SyncId;
  tenantId: TenantId;
  version: number;
  status: 'active' | 'broken';
  brokenReason: string | null;
  /** Its own pause; pauses of the tenant or of all are not shown here. */
  pause: Omit<Pause, 'tenantId' | 'syncId'> | null;
  nextNominalAt: string | null;
  /** When its slot may start: the nominal time, or later by jitter or because it was moved. */
  nextDueAt: string | null;
  /** The next slot was to be skipped: it will be recorded, and not run. */
  nextIsSkipped: boolean;
  createdAt: string;
  updatedAt: string;
  /** Complete, connections by id. */
  spec: SyncSpec;
}

/** A due time of a sync, or a stretch of them with one outcome. */
export interface Slot {
  nominalAt: string;
  /** The last due time of the stretch. */
  nominalTo: string;
  syncVersion: number;
  runId: RunId | null;
  /** A slot with a run takes it from the run: `started`, or what the run's state says. */
  outcome: SlotOutcome | null;
}

export interface SyncFilter {
  name?: string | undefined;
  connectionId?: ConnectionId | undefined;
}

/** What making or changing a sync would be refused for; null is a connection that it may not use. */
export interface CheckedSync {
  source: ConnectionId | null;
  destination: ConnectionId | null;
  refusals: readonly PenstockError[];
}

export interface SyncStore {
  /** What `create`, or `replace` of the sync with that id, would check about connections, grants and names. */
  check(
    scope: Scope & { tenantId: TenantId },
    sync: { spec: SyncSpec; id: SyncId | null },
  ): Promise<CheckedSync>;
  /** NOT_FOUND at the connection's pointer, CONFLICT at /name, FORBIDDEN when the grant does not cover the table. */
  create(scope: Scope & { tenantId: TenantId }, spec: SyncSpec): Promise<Sync>;
  /** By id or name. NOT_FOUND; BAD_REQUEST when the name belongs to several tenants of the scope. */
  fetch(scope: Scope, ref: string): Promise<Sync>;
  list(scope: Scope, filter: SyncFilter, page: PageRequest): Promise<Page<Sync>>;
  /** Makes the next version; an equal spec changes nothing. VERSION_CONFLICT and as `create`. */
  replace(scope: Scope, ref: string, spec: SyncSpec, ifVersion: number | undefined): Promise<Sync>;
  /** Cancels its runs. VERSION_CONFLICT, NOT_FOUND. */
  delete(scope: Scope, ref: string, ifVersion: number | undefined): Promise<void>;
  /** Slots during a pause are recorded and not run. Paused again, reason and end are replaced. */
  pause(scope: Scope, ref: string, terms: PauseTerms): Promise<Sync>;
  resume(scope: Scope, ref: string): Promise<Sync>;
  /** Lets the next slot be recorded and not run, or takes that back. CONFLICT when there is none, or it is not the one meant. */
  skipNext(scope: Scope, ref: string, skip: { skip: boolean; nominalAt: string | null }): Promise<Sync>;
  /** Lets the next slot start later, before the one after it; null: at its time again. BAD_REQUEST, and as `skipNext`. */
  moveNext(scope: Scope, ref: string, move: { to: string | null; nominalAt: string | null }): Promise<Sync>;
  /** Notes in the audit that the rows which its target has refused are read. NOT_FOUND. */
  recordRejectsRead(scope: Scope, ref: string): Promise<SyncId>;
  /** Notes that its rows are about to be read again (`reset`) or kept (`accept`, `keep`). RUN_STATE while a run is at work. */
  recordReset(scope: Scope, ref: string, how: ResetWay): Promise<SyncId>;
  /** Of its newest due times, so many at most. */
  fetchCadence(scope: Scope, ref: string, most: number): Promise<Cadence>;
  /** Newest first. */
  listSlots(scope: Scope, ref: string, page: PageRequest): Promise<Page<Slot>>;
}
