/** The rows of pauses: intervals by which settle judges due times, so that none is ever deleted. */
import { PenstockError } from '../domain/errors.ts';
import { newId, type SyncId, type TenantId } from '../domain/ids.ts';
import type { Pause, PauseTerms } from '../ports/pause-store.ts';
import type { Page, PageRequest } from '../ports/scope.ts';
import { afterId, cutPage } from './pages.ts';
import { isNotOver } from './run-conditions.ts';
import { isoOf } from './sql-text.ts';
import type { Tx } from './transaction.ts';

/** What is paused: a sync of a tenant, a tenant (`syncId` is null), or all (both are null). */
export interface Paused {
  readonly tenantId: TenantId | null;
  readonly syncId: SyncId | null;
}

const columns = `id, tenant_id as "tenantId", sync_id as "syncId", reason, ${isoOf('from_at')} as since,
  ${isoOf('until_at')} as until`;

const isOf = `paused_id = coalesce($2, $1, '')`;

/** Opens a pause, or changes the one that is open. BAD_REQUEST at /until when that has passed. */
export async function openPause(
  tx: Tx,
  { tenantId, syncId }: Paused,
  { reason, until }: PauseTerms,
): Promise<Pause> {
  await checkIsAhead(tx, until);
  const { rows } = await tx.query<Pause>(
    `with changed as (
       update penstock.pause p set reason = $3, until_at = $4 where ${isOf} and ${isNotOver} returning ${columns}
     ), opened as (
       insert into penstock.pause (id, tenant_id, sync_id, reason, until_at)
       select $5, $1, $2, $3, $4 where not exists (select from changed)
       returning ${columns}
     )
     select * from changed union all select * from opened`,
    [tenantId, syncId, reason, until, newId('pause')],
  );
  return rows[0]!;
}

async function checkIsAhead(tx: Tx, until: string | null): Promise<void> {
  if (until === null) return;
  const { rows } = await tx.query<{ ahead: boolean }>('select $1::timestamptz > clock_timestamp() as ahead', [
    until,
  ]);
  if (!rows[0]?.ahead)
    throw new PenstockError('BAD_REQUEST', 'the pause would have ended already: until must lie ahead', {
      pointer: '/until',
    });
}

/** Ends what is paused; whether anything was. */
export async function endPauses(tx: Tx, { tenantId, syncId }: Paused): Promise<boolean> {
  const { rowCount } = await tx.query(
    `update penstock.pause p set until_at = greatest(from_at, clock_timestamp()) where ${isOf} and ${isNotOver}`,
    [tenantId, syncId],
  );
  return rowCount !== 0;
}

/** Pauses in force, in the order of creation. */
export async function listPauses(tx: Tx, page: PageRequest): Promise<Page<Pause>> {
  const { rows } = await tx.query<Pause>(
    `select ${columns} from penstock.pause p where id > $1 and ${isNotOver} order by id limit $2`,
    [afterId('pause', page), page.limit + 1],
  );
  return cutPage(rows, page, (row) => row.id);
}
