/**
 * Forgets loads that are over. Only `_penstock` says which are: one that is neither done nor abandoned stays, however old it
 * is and whoever opened it, also when no control database knows of it. Checkpoints go together with the tables that they
 * vouched for; the receipt stays with the load's row, and in the control database.
 */
import type { LoadId } from '../../domain/ids.ts';
import { keptDays } from '../../domain/retention.ts';
import type { Sql } from './destination-session.ts';
import { fetchLoadRow } from './load-row.ts';
import { modeOf } from './modes/modes.ts';

const detailsKept = `${keptDays.loadDetails} days`;
/** As long as the control database keeps runs: until then one of them may ask for its receipt. */
const loadsKept = `${keptDays.runs} days`;
/** Those that are open stay, and with each its load, which says what its key and its values are. */
const rejectsKept = `${keptDays.rejects} days`;
const rejectsAtOnce = 10_000;
/** So that no finish waits for an old destination to be put in order. */
const atOnce = 100;

/** One transaction; what somebody else is working on waits for the next. How much was forgotten: with 0 nothing is left. */
export async function cleanUp(sql: Sql): Promise<number> {
  const closed = await sql<{ id: LoadId }>(
    `select id from _penstock.load l
      where phase in ('done', 'abandoned') and closed_at < now() - interval '${detailsKept}'
        and exists (select from _penstock.partition where load = l.id)
      order by closed_at limit ${atOnce} for update skip locked`,
  );
  const ids = closed.map(({ id }) => id);
  if (ids.length > 0) await forgetDetails(sql, ids);
  const rejects = await sql.count(
    `delete from _penstock.reject where id in (
       select id from _penstock.reject
        where case when stopped then last_seen_at else settled_at end < now() - interval '${rejectsKept}'
        limit ${rejectsAtOnce} for update skip locked)`,
  );
  const loads = await sql.count(
    `delete from _penstock.load where id in (
       select id from _penstock.load l
        where phase in ('done', 'abandoned') and closed_at < now() - interval '${loadsKept}'
          and not exists (select from _penstock.partition where load = l.id)
          and not exists (select from _penstock.reject where load = l.id)
          and not exists (select from _penstock.run where id in (l.opened_by, l.finished_by) and not final)
        order by closed_at limit ${atOnce} for update skip locked)`,
  );
  const runs = await sql.count(
    `delete from _penstock.run where id in (
       select id from _penstock.run r
        where final and first_seen_at < now() - interval '${loadsKept}'
          and not exists (select from _penstock.load where r.id in (opened_by, finished_by))
        limit ${atOnce} for update skip locked)`,
  );
  return ids.length + rejects + loads + runs;
}

async function forgetDetails(sql: Sql, ids: readonly LoadId[]): Promise<void> {
  for (const id of ids) {
    const load = (await fetchLoadRow(sql, id))!;
    await modeOf(load.plan).clear?.(sql, load);
  }
  for (const table of ['checkpoint', 'deletion', 'lease', 'partition'])
    await sql(`delete from _penstock.${table} where load = any ($1)`, [ids]);
}
