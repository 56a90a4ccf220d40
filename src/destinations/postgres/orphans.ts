/**
 * What nobody needs and nobody dropped: leases and tables of loads that are over, and runs that ended without a word to
 * this destination. Only what `_penstock` knows to be over goes; a load that is open keeps everything, and so does one that
 * it does not know at all.
 */
import type { RunId } from '../../domain/ids.ts';
import { ident } from '../../postgres-client/quote.ts';
import type { Sql } from './destination-session.ts';

/** Between the insert of a run's row and its first lease nothing is wrong with it yet. */
const youngFor = '1 hour';
const atOnce = 100;

/** Runs that are not final here, oldest id first; copies without a control database end each other. */
export async function listOpenRuns(sql: Sql, after: string): Promise<RunId[]> {
  const rows = await sql<{ id: RunId }>(
    `select id from _penstock.run
      where not final and copy_of is null and id > $1 and first_seen_at < now() - interval '${youngFor}'
      order by id limit ${atOnce}`,
    [after],
  );
  return rows.map(({ id }) => id);
}

/** After `from`: leases `l` that somebody still has, of a load that is over or by a run that is final. */
export const leftLeases = `_penstock.lease l
  join _penstock.load o on o.id = l.load left join _penstock.run r on r.id = l.run
  where l.run is not null and (r.final or o.phase in ('done', 'abandoned'))`;

/** Frees leases and drops tables of loads that are over; how many of each. */
export const dropOrphans = async (sql: Sql): Promise<{ leases: number; tables: number }> => ({
  leases: await freeLeases(sql),
  tables: await dropTables(sql),
});

const freeLeases = (sql: Sql): Promise<number> =>
  sql.count(
    `update _penstock.lease set run = null where (load, partition) in (
       select l.load, l.partition from ${leftLeases} limit ${atOnce} for update of l skip locked)`,
  );

/** Their loads are locked, so that nobody publishes one meanwhile. */
async function dropTables(sql: Sql): Promise<number> {
  const rows = await sql<{ name: string }>(
    `select c.relname as name from pg_class c
       join _penstock.load l on c.relname in (l.id, 'seen_' || l.id, 'doomed_' || l.id)
      where c.relnamespace = '_penstock'::regnamespace and c.relkind = 'r' and l.phase in ('done', 'abandoned')
      limit ${atOnce} for update of l skip locked`,
  );
  for (const { name } of rows) await sql(`drop table if exists _penstock.${ident(name)}`);
  return rows.length;
}
