/** Tenants in the control database (src/ports/tenant-store.ts). */
import type { Pool } from 'pg';
import { PenstockError } from '../domain/errors.ts';
import { newId } from '../domain/ids.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import type { Tenant, TenantStore } from '../ports/tenant-store.ts';
import { refusingDoubles } from './database-errors.ts';
import { inOperatorScope, inScope, insertAudit } from './in-scope.ts';
import { afterId, cutPage } from './pages.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

const columns = `id, name, weight, ${isoOf('created_at')} as "createdAt"`;

/** The tenants over a pool. */
export function createTenantStore(pool: Pool): TenantStore {
  return {
    create: (scope, tenant) =>
      refusingDoubles(
        'tenant_name_key',
        { message: `there is a tenant ${tenant.name} already`, pointer: '/name' },
        () => inOperatorScope(pool, scope, (tx) => insertTenant(tx, scope, tenant)),
      ),
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
