/** Transactions for answering requests: one tenant's rows, or every tenant's for an operator's key. */
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { Scope } from '../ports/scope.ts';
import { asOperator, asTenant, type Tx } from './transaction.ts';

/** Runs `work` seeing what the scope may see. UNAVAILABLE when others held its rows for too long. */
export const inScope = <T>(pool: Pool, { tenantId }: Scope, work: (tx: Tx) => Promise<T>): Promise<T> =>
  orBusy(tenantId === null ? asOperator(pool, work) : asTenant(pool, tenantId, work));

/** Runs `work` for the operator. FORBIDDEN when the scope is one tenant's. */
export async function inOperatorScope<T>(pool: Pool, scope: Scope, work: (tx: Tx) => Promise<T>): Promise<T> {
  if (scope.tenantId !== null)
    throw new PenstockError('FORBIDDEN', 'only an operator’s key without a tenant may do this');
  return orBusy(asOperator(pool, work));
}

/** A request that waited for a lock, or was cancelled for its length, may be tried again. */
const orBusy = <T>(work: Promise<T>): Promise<T> =>
  work.catch((cause: unknown) => {
    const { code } = cause as { code?: unknown };
    if (code !== '55P03' && code !== '57014') throw cause;
    throw new PenstockError('UNAVAILABLE', 'the rows are held by other work: try again', { cause });
  });

/** Records who changed what, in the transaction of the change. */
export async function insertAudit(
  tx: Tx,
  { apiKeyId }: Scope,
  entry: {
    tenantId: TenantId | null;
    action: string;
    objectId: string;
    data?: Record<string, unknown>;
  },
): Promise<void> {
  await tx.query(
    'insert into penstock.audit (tenant_id, api_key_id, action, object_id, data) values ($1, $2, $3, $4, $5)',
    [entry.tenantId, apiKeyId, entry.action, entry.objectId, JSON.stringify(entry.data ?? {})],
  );
}

/** Records what happened to a sync or in general, in the transaction in which it happened. */
export async function insertEvent(
  tx: Tx,
  event: { tenantId: TenantId | null; kind: string; syncId?: string; data?: Record<string, unknown> },
): Promise<void> {
  await tx.query('insert into penstock.event (tenant_id, kind, sync_id, data) values ($1, $2, $3, $4)', [
    event.tenantId,
    event.kind,
    event.syncId ?? null,
    JSON.stringify(event.data ?? {}),
  ]);
}
