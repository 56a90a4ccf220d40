/** What must be true of a destination when nothing is copied any more: chains are whole, and nothing is left behind. */
import { expect } from '@jest/globals';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';

/**
 * Each says what it found; none gives a row. A run may stay open: a copy that is killed when its load is done has not ended
 * it, and `--once`, which finds the load done, leaves that to the next copy. No load and no lease is in its name.
 */
const violations: Readonly<Record<string, string>> = {
  'a load is open': `select id, phase from _penstock.load where phase <> 'done'`,
  'a lease is held': 'select load, partition, run from _penstock.lease where run is not null',
  'something of a load is left': `select oid::regclass::text as name from pg_class where relname ~ '^(lod|idx)_[0-9a-f]'`,
  'a transaction is prepared': 'select gid from pg_prepared_xacts where database = current_database()',
  // Batches are 1..n, each begins where the one before ended, only the last is final, in every partition.
  'a chain is broken': `
    select load, no from _penstock.partition p join _penstock.load l on l.id = p.load
     where not (select coalesce(bool_and(batch = at and key_lo is not distinct from before and final = (at = last)), false)
                  from (select *, row_number() over w as at, lag(key_hi) over w as before, count(*) over () as last
                          from _penstock.checkpoint c where c.load = p.load and c.partition = p.no
                        window w as (order by batch)) as chained)`,
  'a receipt is not the sum of its checkpoints': `
    select id from _penstock.load l, lateral (
        select sum(rows) as read, sum(inserted) as inserted, sum(updated) as updated, sum(unchanged) as unchanged,
               sum(deduplicated) as deduplicated, sum(rejected) as rejected, sum(tombstones) as tombstones,
               sum(bytes) as bytes, count(*) as batches
          from _penstock.checkpoint where load = l.id) as s
     where row(s.*)::text <> (select row(r.*)::text from json_to_record(receipt) as r(read bigint, inserted bigint,
        updated bigint, unchanged bigint, deduplicated bigint, rejected bigint, tombstones bigint, bytes bigint, batches bigint))`,
};

/** Fails with what is not as it should be. */
export async function expectWholeDestination(url: string): Promise<void> {
  const found: Record<string, unknown[]> = {};
  for (const [what, sql] of Object.entries(violations)) {
    const rows = await execute(url, sql);
    if (rows.length > 0) found[what] = rows;
  }
  expect(found).toEqual({});
}

/** Waits until nobody else has a session in that database; those that a pooler keeps do nothing. */
export const untilNoSessions = (url: string, { pooled = false } = {}): Promise<void> =>
  waitUntil('the end of all other sessions', async () => {
    const sql = `select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
        and datname = current_database() and (state <> 'idle' or not $1)`;
    return (await execute(url, sql, [pooled])).length === 0;
  });
