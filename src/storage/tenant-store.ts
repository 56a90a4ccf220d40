/** Tenants in the control database (src/ports/tenant-store.ts). */
import { PenstockError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import type { Tenant, TenantChange, TenantStore } from '../ports/tenant-store.ts';
import { checkVersion, refusingDoubles } from './database-errors.ts';
import { createTellIndex } from './index-news.ts';
import { inOperatorScope, inScope, insertAudit } from './in-scope.ts';
import { afterId, cutPage } from './pages.ts';
import { isoOf } from './sql-text.ts';
import type { StoreDeps } from './store-deps.ts';
import type { Tx } from './transaction.ts';

const columns = `id, name, version, weight, ${isoOf('created_at')} as "createdAt"`;

/** The tenants over a pool. */
export function createTenantStore({ pool, announcer, logger }: Omit<StoreDeps, 'starter'>): TenantStore {
  const tellIndex = createTellIndex(announcer, logger);
  return {
    create: (scope, tenant) =>
      refusingDoubles(
        'tenant_name_key',
        { message: `there is a tenant ${tenant.name} already`, pointer: '/name' },
        () => inOperatorScope(pool, scope, (tx) => insertTenant(tx, scope, tenant)),
      ),
    update: async (scope, ref, change, ifVersion) => {
      const tenant = await inOperatorScope(pool, scope, (tx) =>
        updateTenant({ tx, scope, ref, ifVersion }, change),
      );
      await tellIndex({ limits: [{ ...tenant, tenantId: tenant.id }] });
      return tenant;
    },
    fetch: (scope, ref) => inScope(pool, scope, (tx) => fetchTenant(tx, ref)),
    list: (scope, page) => inScope(pool, scope, (tx) => listTenants(tx, page)),
  };
}

async function insertTenant(
  tx: Tx,
  scope: Scope,
  { name, weight }: { name: string; weight: number },
): Promise<Tenant> {
  const { rows } = await tx.query<Tenant>(
    `insert into penstock.tenant (id, name, weight) values ($1, $2, $3) returning ${columns}`,
    [newId('tenant'), name, weight],
  );
  const tenant = rows[0] as Tenant;
  await insertAudit(tx, scope, { tenantId: tenant.id, action: 'tenant.create', objectId: tenant.id });
  return tenant;
}

async function updateTenant(
  { tx, scope, ref, ifVersion }: { tx: Tx; scope: Scope; ref: string; ifVersion: number | undefined },
  change: TenantChange,
): Promise<Tenant> {
  await tx.query('select from penstock.tenant where id = $1 or name = $1 for no key update', [ref]);
  const { id, name, version } = await fetchTenant(tx, ref);
  checkVersion(`tenant ${name}`, version, ifVersion);
  await tx.query(
    'update penstock.tenant set version = version + 1, weight = coalesce($2, weight) where id = $1',
    [id, change.weight ?? null],
  );
  await insertAudit(tx, scope, { tenantId: id, action: 'tenant.update', objectId: id, data: { ...change } });
  return fetchTenant(tx, id);
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
