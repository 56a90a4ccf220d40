/** Reading syncs. Deleted ones are not there. */
import { PenstockError } from '../domain/errors.ts';
import type { Page, PageRequest, Scope } from '../ports/scope.ts';
import type { Sync, SyncFilter } from '../ports/sync-store.ts';
import { afterId, cutPage } from './pages.ts';
import { isNotOver } from './run-conditions.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

const selection = `s.id, s.tenant_id as "tenantId", s.version, s.status, s.broken_reason as "brokenReason",
  (select json_build_object('id', p.id, 'reason', p.reason, 'since', ${isoOf('p.from_at')},
     'until', ${isoOf('p.until_at')})
   from penstock.pause p
   where p.paused_id = s.id and ${isNotOver}
   order by p.from_at desc limit 1) as pause,
  ${isoOf('s.next_nominal_at')} as "nextNominalAt", ${isoOf('s.next_due_at')} as "nextDueAt",
  coalesce(s.skipped_nominal_at = s.next_nominal_at, false) as "nextIsSkipped",
  ${isoOf('s.created_at')} as "createdAt", ${isoOf('s.updated_at')} as "updatedAt", v.spec
  from penstock.sync s
  join penstock.sync_version v on v.sync_id = s.id and v.version = s.version
  where s.status <> 'deleted'`;

/** By id, or by name in the scope. NOT_FOUND; BAD_REQUEST when several tenants of the scope have that name. */
export async function fetchSync(tx: Tx, scope: Scope, ref: string): Promise<Sync> {
  const { rows } = await tx.query<Sync>(
    `select ${selection} and (s.id = $1 or s.name = $1 and ($2::text is null or s.tenant_id = $2)) limit 2`,
    [ref, scope.tenantId],
  );
  if (rows.length > 1)
    throw new PenstockError('BAD_REQUEST', `several tenants have a sync ${ref}: name one, or use the id`, {
      pointer: '/query/tenantId',
    });
  if (!rows[0]) throw new PenstockError('NOT_FOUND', `there is no sync ${ref}`);
  return rows[0];
}

/** Fetches a sync in order to change it, and holds it: nobody settles or changes it meanwhile. */
export async function lockSync(tx: Tx, scope: Scope, ref: string): Promise<Sync> {
  const { id } = await fetchSync(tx, scope, ref);
  await tx.query('select from penstock.sync where id = $1 for no key update', [id]);
  return fetchSync(tx, scope, id);
}

/** In the order of creation. */
export async function listSyncs(tx: Tx, filter: SyncFilter, page: PageRequest): Promise<Page<Sync>> {
  const { rows } = await tx.query<Sync>(
    `select ${selection} and s.id > $1
       and ($3::text is null or s.name = $3)
       and ($4::text is null or $4 in (s.source_connection_id, s.destination_connection_id))
     order by s.id limit $2`,
    [afterId('sync', page), page.limit + 1, filter.name ?? null, filter.connectionId ?? null],
  );
  return cutPage(rows, page, (row) => row.id);
}
