/**
 * Pauses of tenants and of all (src/ports/pause-store.ts). Their syncs are not settled for it, however many they are:
 * settle judges a due time by the interval that covers it, whenever it looks.
 */
import { PenstockError } from '../domain/errors.ts';
import type { TenantId } from '../domain/ids.ts';
import type { PauseStore } from '../ports/pause-store.ts';
import type { Scope } from '../ports/scope.ts';
import { createTellIndex } from './index-news.ts';
import { inOperatorScope, inScope, insertAudit, insertEvent } from './in-scope.ts';
import { endPauses, listPauses, openPause } from './pauses.ts';
import { fetchResumedOffers } from './run-offers.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';

/** The pauses over a pool. */
export function createPauseStore({ pool, announcer, logger }: Omit<StoreDeps, 'starter'>): PauseStore {
  const tellIndex = createTellIndex(announcer, logger);
  return {
    pause: (scope, tenantRef, terms) =>
      inOperatorScope(pool, scope, async (tx) => {
        const tenantId = await lockTenant(tx, tenantRef);
        const pause = await openPause(tx, { tenantId, syncId: null }, terms);
        await record(tx, { scope, tenantId, change: ['pause', 'paused'], data: { ...terms } });
        return pause;
      }),
    resume: async (scope, tenantRef) => {
      const offered = await inOperatorScope(pool, scope, async (tx) => {
        const tenantId = await lockTenant(tx, tenantRef);
        if (!(await endPauses(tx, { tenantId, syncId: null }))) return [];
        await record(tx, { scope, tenantId, change: ['resume', 'resumed'], data: {} });
        return fetchResumedOffers(tx, tenantId);
      });
      await tellIndex({ offered });
    },
    list: (scope, page) => inScope(pool, scope, (tx) => listPauses(tx, page)),
  };
}

/** Who pauses it meanwhile waits. */
async function lockTenant(tx: Tx, ref: string | null): Promise<TenantId | null> {
  if (ref === null) return null;
  const { rows } = await tx.query<{ id: TenantId }>(
    'select id from penstock.tenant where id = $1 or name = $1 for no key update',
    [ref],
  );
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no tenant ${ref}`);
  return rows[0].id;
}

interface PauseRecord {
  scope: Scope;
  tenantId: TenantId | null;
  /** What was done, and what has happened. */
  change: readonly [string, string];
  data: Record<string, unknown>;
}

async function record(tx: Tx, { scope, tenantId, change, data }: PauseRecord): Promise<void> {
  const of = tenantId === null ? 'all' : 'tenant';
  await insertAudit(tx, scope, { tenantId, action: `${of}.${change[0]}`, objectId: tenantId ?? 'all', data });
  await insertEvent(tx, { tenantId, kind: `${of}.${change[1]}`, data });
}
