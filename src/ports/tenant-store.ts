/** Tenants: only the operator makes them; a tenant sees itself. */
import type { TenantId } from '../domain/ids.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

export interface Tenant {
  id: TenantId;
  name: string;
  /** Share of the places when tenants compete. */
  weight: number;
  /** ISO 8601, UTC, like all times of these ports. */
  createdAt: string;
}

export interface TenantStore {
  /** CONFLICT at /name when the name is taken. */
  create(scope: Scope, tenant: { name: string; weight: number }): Promise<Tenant>;
  /** By id or name. NOT_FOUND also for another tenant's. */
  fetch(scope: Scope, ref: string): Promise<Tenant>;
  /** In the order of creation. */
  list(scope: Scope, page: PageRequest): Promise<Page<Tenant>>;
}
