/** Whose rows a request may touch, and how lists are read. */
import type { ApiKeyRole } from '../domain/access.ts';
import type { ApiKeyId, TenantId } from '../domain/ids.ts';

/** Who calls, as its API key says. */
export interface Caller {
  readonly apiKeyId: ApiKeyId;
  readonly role: ApiKeyRole;
  /** null: the operator, who sees every tenant. */
  readonly tenantId: TenantId | null;
}

/** Rows of one tenant, or of all (null): only an operator's key has such a scope. */
export interface Scope {
  readonly tenantId: TenantId | null;
  /** For the audit; null: Penstock itself. */
  readonly apiKeyId: ApiKeyId | null;
}

export interface PageRequest {
  /** At least 1. */
  readonly limit: number;
  /** `next` of the page before. BAD_REQUEST at /query/cursor when it is no such thing. */
  readonly after?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page begins; null: this was the last. */
  readonly next: string | null;
}
