/** The rejects of a sync, as people see them. */
import type { SyncId } from '../../domain/ids.ts';
import type { KeptReject } from '../../ports/destination.ts';
import type { Page, PageRequest } from '../../ports/scope.ts';
import { isoOf } from '../../postgres-client/quote.ts';
import type { SqlRows } from './destination-session.ts';

/** Oldest first. Nothing where no load was ever opened. */
export async function listRejects(
  sql: SqlRows,
  sync: SyncId,
  { limit, after, settled }: PageRequest & { settled: boolean },
): Promise<Page<KeptReject>> {
  const found = await sql<KeptReject>(
    `select r.id::text, r.load as "loadId", r.partition, r.batch, r.key, r.rows, r."values",
            array(select c ->> 'name' from json_array_elements(l.plan -> 'columns') as c) as columns,
            r.sqlstate, r."column", r."constraint", r.cause, r.attempts,
            case when r.stopped then 'stopped' when r.settled_at is null then 'open' else 'settled' end as state,
            ${isoOf('r.first_seen_at')} as "firstSeenAt", ${isoOf('r.last_seen_at')} as "lastSeenAt",
            ${isoOf('r.settled_at')} as "settledAt"
       from _penstock.reject r left join _penstock.load l on l.id = r.load
      where r.sync = $1 and r.id > $2::bigint and ($3 or r.settled_at is null)
      order by r.id limit $4`,
    [sync, after ?? '0', settled, limit + 1],
  );
  const items = found.slice(0, limit);
  return { items, next: found.length > limit ? items.at(-1)!.id : null };
}
