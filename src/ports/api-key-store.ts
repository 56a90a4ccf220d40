/** API keys: shown once, stored as a hash. */
import type { ApiKeyRole } from '../domain/access.ts';
import type { ApiKeyId, TenantId } from '../domain/ids.ts';
import type { Caller, Page, PageRequest, Scope } from './scope.ts';

export interface ApiKey {
  id: ApiKeyId;
  /** null: an operator's key. */
  tenantId: TenantId | null;
  name: string;
  role: ApiKeyRole;
  /** The first characters of the key, to recognise it by. */
  prefix: string;
  createdAt: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

export interface NewApiKey {
  name: string;
  role: ApiKeyRole;
  expiresAt: string | null;
}

export interface ApiKeyStore {
  /** Who holds the key; null when it is unknown, expired or revoked. */
  authenticate(key: string): Promise<Caller | null>;
  /** Makes a key of the scope's tenant, or of the operator. `key` is never to be had again. */
  create(scope: Scope, apiKey: NewApiKey): Promise<ApiKey & { key: string }>;
  list(scope: Scope, page: PageRequest): Promise<Page<ApiKey>>;
  /** From now on it opens nothing. Repeatable. NOT_FOUND. */
  revoke(scope: Scope, id: string): Promise<ApiKey>;
}
