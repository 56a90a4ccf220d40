/** Tenants in the control database (src/ports/tenant-store.ts). */
import { PenstockError } from '../domain/errors.ts';
import { newId, type TenantId } from '../domain/ids.ts';
import type { Limits, RunOffer } from '../ports/schedule-index.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import type { Tenant, TenantChange, TenantStore } from '../ports/tenant-store.ts';
import { checkVersion, refusingDoubles } from './database-errors.ts';
import { createTellIndex } from './index-news.ts';
import { inOperatorScope, inScope, insertAudit } from './in-scope.ts';
import { afterId, cutPage } from './pages.ts';
import { fetchWaitingOffers } from './run-offers.ts';
import { isoOf } from './sql-text.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';

const columns = `id, name, version, weight, max_runs as "maxRuns", run_order as "order",
  min_interval as "minInterval", ${isoOf('created_at')} as "createdAt"`;

/** The tenants over a pool. */
export function createTenantStore({ pool, announcer, logger }: Omit<StoreDeps, 'starter'>): TenantStore {
  const tellIndex = createTellIndex(announcer, logger);
  return {
    create: async (scope, tenant) => {
      const made = await refusingDoubles(
        'tenant_name_key',
        { message: `there is a tenant ${tenant.name} already`, pointer: '/name' },
        () => inOperatorScope(pool, scope, (tx) => insertTenant(tx, scope, tenant)),
      );
      await tellIndex({ limits: limitsOf(made) });
      return made;
    },
    update: async (scope, ref, change, ifVersion) => {
      const { tenant, offered } = await inOperatorScope(pool, scope, (tx) =>
        updateTenant({ tx, scope, ref, ifVersion }, change),
      );
      await tellIndex({ limits: limitsOf(tenant), offered });
      return tenant;
    },
    fetch: (scope, ref) => inScope(pool, scope, (tx) => fetchTenant(tx, ref)),
    list: (scope, page) => inScope(pool, scope, (tx) => listTenants(tx, page)),
  };
}

async function insertTenant(
  tx: Tx,
  scope: Scope,
  { name, ...limits }: { name: string } & TenantChange,
): Promise<Tenant> {
  const id = newId('tenant');
  await tx.query('insert into penstock.tenant (id, name) values ($1, $2)', [id, name]);
  await saveLimits(tx, id, limits);
  await insertAudit(tx, scope, { tenantId: id, action: 'tenant.create', objectId: id });
  return fetchTenant(tx, id);
}

const limitsOf = (tenant: Tenant): Partial<Limits> => ({ tenants: [{ ...tenant, tenantId: tenant.id }] });

const saveLimits = (
  tx: Tx,
  id: TenantId,
  { weight, maxRuns, order, minInterval }: TenantChange,
): Promise<unknown> =>
  tx.query(
    `update penstock.tenant
     set weight = coalesce($2, weight), max_runs = coalesce($3, max_runs), run_order = coalesce($4, run_order),
       min_interval = case when $5 then $6 else min_interval end
     where id = $1`,
    [id, weight ?? null, maxRuns ?? null, order ?? null, minInterval !== undefined, minInterval ?? null],
  );

async function updateTenant(
  { tx, scope, ref, ifVersion }: { tx: Tx; scope: Scope; ref: string; ifVersion: number | undefined },
  change: TenantChange,
): Promise<{ tenant: Tenant; offered: RunOffer[] }> {
  await tx.query('select from penstock.tenant where id = $1 or name = $1 for no key update', [ref]);
  const { id, name, version, order } = await fetchTenant(tx, ref);
  checkVersion(`tenant ${name}`, version, ifVersion);
  await tx.query('update penstock.tenant set version = version + 1 where id = $1', [id]);
  await saveLimits(tx, id, change);
  await insertAudit(tx, scope, { tenantId: id, action: 'tenant.update', objectId: id, data: { ...change } });
  const tenant = await fetchTenant(tx, id);
  return { tenant, offered: tenant.order === order ? [] : await fetchWaitingOffers(tx, { tenantId: id }) };
}

async function fetchTenant(tx: Tx, ref: string): Promise<Tenant> {
  const { rows } = await tx.query<Tenant>(
    `select ${columns} from penstock.tenant where id = $1 or name = $1`,
    [ref],
  );
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no tenant ${ref}`);
  return rows[0];
}

async function listTenants(tx: Tx, page: PageRequest): Promise<Page<Tenant>> {
  const { rows } = await tx.query<Tenant>(
    `select ${columns} from penstock.tenant where id > $1 order by id limit $2`,
    [afterId('tenant', page), page.limit + 1],
  );
  return cutPage(rows, page, (row) => row.id);
}
