/** Pauses of a tenant, or of all: the operator's. While one covers a due time it is recorded and not run. */
import type { PauseId, SyncId, TenantId } from '../domain/ids.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

/** Of a sync, of a tenant (`syncId` is null), or of all (both are null). */
export interface Pause {
  id: PauseId;
  tenantId: TenantId | null;
  syncId: SyncId | null;
  reason: string | null;
  since: string;
  /** null: until resumed. */
  until: string | null;
}

/** What a pause is given; paused again, both are replaced. */
export interface PauseTerms {
  reason: string | null;
  /** null: until resumed. */
  until: string | null;
}

/** A tenant by id or name; null means all. Each method but `list` is FORBIDDEN to a tenant. */
export interface PauseStore {
  /** NOT_FOUND; BAD_REQUEST at /until when that has passed. */
  pause(scope: Scope, tenantRef: string | null, terms: PauseTerms): Promise<Pause>;
  /** Ends the pause, if there is one; the pauses of its syncs stay. NOT_FOUND. */
  resume(scope: Scope, tenantRef: string | null): Promise<void>;
  /** Those in force now, of syncs as well, in the order of their creation. */
  list(scope: Scope, page: PageRequest): Promise<Page<Pause>>;
}
