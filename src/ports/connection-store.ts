/** Connections: linked databases. Settings are versioned and readable; the password is sealed and never comes back. */
import type { ConnectionKind } from '../domain/connection-kinds.ts';
import type { ReadRate } from '../domain/read-rate.ts';
import type { ConnectionId, TenantId } from '../domain/ids.ts';
import type { TargetScope } from '../domain/target-scope-spec.ts';
import type { ConnectionSettings } from './connection.ts';
import type { Page, PageRequest, Scope } from './scope.ts';

export interface Connection extends ConnectionSettings, ReadRate {
  id: ConnectionId;
  /** null: the operator's, usable by the tenants that it is granted to. */
  tenantId: TenantId | null;
  name: string;
  /** A later version of Penstock may have stored one that this one does not know. */
  kind: string;
  version: number;
  /** How many runs that read from it may be at work at once. */
  maxRuns: number;
  /** How many such runs may start a minute; null: any number. */
  startsPerMinute: number | null;
  /** Until then none starts: it has asked for less. */
  coolUntil: string | null;
  /** Whose workers take the runs that read from it, or write to it from a source without one; null: the common ones. */
  workerClass: string | null;
  createdAt: string;
  updatedAt: string;
}

export interface NewConnection extends ConnectionSettings {
  name: string;
  kind: ConnectionKind;
  password: string;
  maxRuns?: number | undefined;
  startsPerMinute?: number | null | undefined;
  rowsPerSecond?: number | null | undefined;
  bytesPerSecond?: number | null | undefined;
  workerClass?: string | null | undefined;
}

/** Members that are absent stay as they are. */
export type ConnectionChange = {
  [M in keyof Omit<NewConnection, 'kind'>]?: NewConnection[M] | undefined;
} & { coolUntil?: string | null | undefined };

/** A tenant may use an operator's connection as destination for tables that match, and for the rows of the scope. */
export interface ConnectionGrant {
  tenantId: TenantId;
  /** `schema.table` with `*` for any characters of a name, such as `sync.acme_*`. */
  tablePattern: string;
  /** What the scope of each of its syncs there has to hold; empty: nothing. */
  scope: TargetScope;
  /** Taken by `set local role` in every transaction there; null: the connection's login itself. */
  databaseRole: string | null;
}

export interface ConnectionStore {
  /** Of the scope's tenant, or the operator's. CONFLICT at /name when the name is taken. */
  create(scope: Scope, connection: NewConnection): Promise<Connection>;
  /** By id or name; a tenant also finds what it was granted. NOT_FOUND. */
  fetch(scope: Scope, ref: string): Promise<Connection>;
  list(scope: Scope, page: PageRequest): Promise<Page<Connection>>;
  /** Makes a new version, unless only name, password, limits or class change; limits and class hold for the next start, read rates from the next report of each attempt. VERSION_CONFLICT, CONFLICT at /name, NOT_FOUND, FORBIDDEN. */
  update(
    scope: Scope,
    ref: string,
    change: ConnectionChange,
    ifVersion: number | undefined,
  ): Promise<Connection>;
  /** CONFLICT while a sync uses it. */
  delete(scope: Scope, ref: string, ifVersion: number | undefined): Promise<void>;
  /** Grants an operator's connection to a tenant, or changes its grant. */
  grant(scope: Scope, ref: string, grant: ConnectionGrant): Promise<ConnectionGrant>;
  /** CONFLICT while a sync of the tenant uses it. Repeatable. */
  revokeGrant(scope: Scope, ref: string, tenantId: TenantId): Promise<void>;
  listGrants(scope: Scope, ref: string): Promise<ConnectionGrant[]>;
}
