/** Idempotency keys in the control database (src/ports/idempotency-store.ts). */
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import type { IdempotencyStore, StoredAnswer } from '../ports/idempotency-store.ts';
import { inScope } from './in-scope.ts';
import type { Tx } from './transaction.ts';

/** A request that took a key and never answered (its process died) frees it after this. */
const abandonedAfter = '1 minute';
/** An answer is kept this long; afterwards the key may be used for another request. */
const keptFor = '24 hours';

interface KeyRow {
  sameRequest: boolean;
  status: number | null;
  headers: Record<string, string> | null;
  body: unknown;
}

/** The idempotency keys over a pool. */
export function createIdempotencyStore(pool: Pool): IdempotencyStore {
  return {
    begin: (caller, key, requestHash) =>
      inScope(pool, caller, async (tx) => {
        if (await takeKey(tx, { ...caller, key, requestHash })) return { state: 'begun' };
        return { state: 'answered', answer: await fetchAnswer(tx, caller.apiKeyId, key, requestHash) };
      }),
    complete: (caller, key, answer) =>
      inScope(pool, caller, async (tx) => {
        await tx.query(
          `update penstock.idempotency_key set status = $3, headers = $4, body = $5
           where api_key_id = $1 and key = $2`,
          [caller.apiKeyId, key, answer.status, JSON.stringify(answer.headers), JSON.stringify(answer.body)],
        );
      }),
    abandon: (caller, key) =>
      inScope(pool, caller, async (tx) => {
        await tx.query(
          'delete from penstock.idempotency_key where api_key_id = $1 and key = $2 and status is null',
          [caller.apiKeyId, key],
        );
      }),
  };
}

async function takeKey(
  tx: Tx,
  row: { apiKeyId: string; tenantId: string | null; key: string; requestHash: Buffer },
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `insert into penstock.idempotency_key as k (api_key_id, key, tenant_id, request_hash)
     values ($1, $2, $3, $4)
     on conflict (api_key_id, key) do update
       set request_hash = excluded.request_hash, status = null, headers = null, body = null,
         created_at = clock_timestamp()
       where k.created_at < clock_timestamp()
         - case when k.status is null then interval '${abandonedAfter}' else interval '${keptFor}' end`,
    [row.apiKeyId, row.key, row.tenantId, row.requestHash],
  );
  return rowCount === 1;
}

async function fetchAnswer(
  tx: Tx,
  apiKeyId: string,
  key: string,
  requestHash: Buffer,
): Promise<StoredAnswer> {
  const { rows } = await tx.query<KeyRow>(
    `select request_hash = $3 as "sameRequest", status, headers, body from penstock.idempotency_key
     where api_key_id = $1 and key = $2`,
    [apiKeyId, key, requestHash],
  );
  const row = rows[0];
  const pointer = '/headers/idempotency-key';
  if (row && !row.sameRequest)
    throw new PenstockError('IDEMPOTENCY_MISMATCH', 'this Idempotency-Key was used for another request', {
      pointer,
    });
  if (!row || row.status === null)
    throw new PenstockError('CONFLICT', 'the first request with this Idempotency-Key is still at work', {
      pointer,
    });
  return { status: row.status, headers: row.headers ?? {}, body: row.body };
}
