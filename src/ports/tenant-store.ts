/** Tenants: only the operator makes them; a tenant sees itself. */
import type { TenantId } from '../domain/ids.ts';
import type { RunOrder } from '../domain/priority.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

export interface Tenant {
  id: TenantId;
  name: string;
  /** Its ETag. */
  version: number;
  /** Share of the starts while others wait, too. */
  weight: number;
  /** How many of its runs may be at work at once. */
  maxRuns: number;
  /** How far apart the due times of each of its syncs are at least, such as `5m`; null: any distance. */
  minInterval: string | null;
  /** In which its waiting runs start. */
  order: RunOrder;
  /** ISO 8601, UTC, like all times of these ports. */
  createdAt: string;
}

/** Members that are absent stay as they are. */
export interface TenantChange {
  weight?: number | undefined;
  maxRuns?: number | undefined;
  /** For schedules that are made or changed from then on. */
  minInterval?: string | null | undefined;
  order?: RunOrder | undefined;
}

export interface TenantStore {
  /** CONFLICT at /name when the name is taken. */
  create(scope: Scope, tenant: { name: string } & TenantChange): Promise<Tenant>;
  /** Holds for the next admission. FORBIDDEN, NOT_FOUND, VERSION_CONFLICT. */
  update(scope: Scope, ref: string, change: TenantChange, ifVersion: number | undefined): Promise<Tenant>;
  /** By id or name. NOT_FOUND also for another tenant's. */
  fetch(scope: Scope, ref: string): Promise<Tenant>;
  /** In the order of creation. */
  list(scope: Scope, page: PageRequest): Promise<Page<Tenant>>;
}
