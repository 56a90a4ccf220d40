/**
 * API keys in the control database (src/ports/api-key-store.ts). A key is `pk_` and 256 random bits; its SHA-256 is
 * stored, which is enough: nothing that random can be guessed from its hash.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { ApiKey, ApiKeyStore, NewApiKey } from '../ports/api-key-store.ts';
import type { Caller, Page, PageRequest, Scope } from '../ports/scope.ts';
import { inScope, insertAudit } from './in-scope.ts';
import { afterId, cutPage } from './pages.ts';
import { isoOf } from './sql-text.ts';
import { asKeyHolder, type Tx } from './transaction.ts';

const prefixLength = 'pk_'.length + 8;
const shape = /^pk_[A-Za-z0-9_-]{43}$/;
const hashOf = (key: string): Buffer => createHash('sha256').update(key).digest();

const columns = `id, tenant_id as "tenantId", name, role, prefix, ${isoOf('created_at')} as "createdAt",
  ${isoOf('expires_at')} as "expiresAt", ${isoOf('revoked_at')} as "revokedAt"`;

/** The API keys over a pool. */
export function createApiKeyStore(pool: Pool): ApiKeyStore {
  return {
    authenticate: async (key) => {
      if (!shape.test(key)) return null;
      const hash = hashOf(key);
      return asKeyHolder(pool, hash.toString('hex'), (tx) => fetchCaller(tx, hash));
    },
    create: (scope, apiKey) => inScope(pool, scope, (tx) => insertApiKey(tx, scope, apiKey)),
    list: (scope, page) => inScope(pool, scope, (tx) => listApiKeys(tx, page)),
    revoke: (scope, id) => inScope(pool, scope, (tx) => revokeApiKey(tx, scope, id)),
  };
}

async function fetchCaller(tx: Tx, hash: Buffer): Promise<Caller | null> {
  const { rows } = await tx.query<Caller>(
    `select id as "apiKeyId", role, tenant_id as "tenantId" from penstock.api_key
     where hash = $1 and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())`,
    [hash],
  );
  return rows[0] ?? null;
}

async function insertApiKey(
  tx: Tx,
  scope: Scope,
  { name, role, expiresAt }: NewApiKey,
): Promise<ApiKey & { key: string }> {
  const key = `pk_${randomBytes(32).toString('base64url')}`;
  const { rows } = await tx.query<ApiKey>(
    `insert into penstock.api_key (id, tenant_id, name, role, prefix, hash, expires_at)
     values ($1, $2, $3, $4, $5, $6, $7) returning ${columns}`,
    [newId('apiKey'), scope.tenantId, name, role, key.slice(0, prefixLength), hashOf(key), expiresAt],
  );
  const apiKey = rows[0] as ApiKey;
  await insertAudit(tx, scope, {
    tenantId: scope.tenantId,
    action: 'api_key.create',
    objectId: apiKey.id,
    data: { role },
  });
  return { ...apiKey, key };
}

async function listApiKeys(tx: Tx, page: PageRequest): Promise<Page<ApiKey>> {
  const { rows } = await tx.query<ApiKey>(
    `select ${columns} from penstock.api_key where id > $1 order by id limit $2`,
    [afterId('apiKey', page), page.limit + 1],
  );
  return cutPage(rows, page, (row) => row.id);
}

async function revokeApiKey(tx: Tx, scope: Scope, id: string): Promise<ApiKey> {
  const { rows } = await tx.query<ApiKey>(
    `update penstock.api_key set revoked_at = coalesce(revoked_at, clock_timestamp()) where id = $1
     returning ${columns}`,
    [id],
  );
  const apiKey = rows[0];
  if (!apiKey) throw new PenstockError('NOT_FOUND', `there is no API key ${id}`);
  await insertAudit(tx, scope, { tenantId: apiKey.tenantId, action: 'api_key.revoke', objectId: id });
  return apiKey;
}
