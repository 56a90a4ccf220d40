/**
 * Mirror: rows go in like an upsert's, and what the result does not hold any more is deleted (or marked) once its end is
 * proven.
 *
 * Every batch notes its keys in a table of the load, in the batch's own transaction. Publishing compares the target with
 * it once, when no batch can be written any more; the keys that are to go are kept, so that the guard's numbers are those
 * of the deletes. Then they go chunk by chunk, each a transaction with its row in `_penstock.deletion`. Both tables are
 * logged: an unlogged one is empty after a crash of the server, and everything would look gone.
 *
 * A load into a table that was empty needs none of this: all that is there came from it. Unless it has to begin again
 * where it is interrupted: a row of its first attempt may be gone from the result of the last.
 */
import { writeModes } from '../../../domain/write-modes.ts';
import { ident, identList, literal } from '../../../postgres-client/quote.ts';
import { runAll } from '../../../postgres-client/query.ts';
import { asRole, grantOwn } from '../as-role.ts';
import type { Sql } from '../destination-session.ts';
import { fetchSameKey } from '../key-index.ts';
import type { LoadRow } from '../load-row.ts';
import { refusalOf } from '../refusal.ts';
import { mismatch, qualifiedName, rowsSwallowed } from '../target-name.ts';
import { writingTarget } from '../writing-target.ts';
import { tooManyDeletes } from './delete-guard.ts';
import {
  lockedByBatches,
  rowLock,
  type Mode,
  type Published,
  type Publishing,
  type Route,
  type Writing,
} from './mode.ts';
import { isLive, removeRows } from './soft-delete.ts';
import { stagingTable } from './staging.ts';
import { staged, upsert } from './upsert.ts';

export const mirror: Mode = {
  ...writeModes.mirror,
  rights: [...upsert.rights, 'DELETE'],
  foresee: async () => ({
    locks: [lockedByBatches, { lock: rowLock, when: 'in each chunk of deletes at the end' }],
  }),
  open,
  restart: async (sql, load) => sql(`truncate ${seen(load)}`),
  route: (writing) => (comparesKeys(writing.load) ? notingKeys(writing) : upsert.route(writing)),
  publish,
  clear: (sql, load) => sql(`drop table if exists ${seen(load)}, ${doomed(load)}`),
};

const comparesKeys = ({ wasEmpty, plan }: LoadRow): boolean => !(wasEmpty && plan.resumable);

async function open(sql: Sql, load: LoadRow): Promise<void> {
  await requireKeys(sql, load);
  if (!comparesKeys(load)) return;
  await sql(
    `create table ${seen(load)} as select ${columnsOf(load)} from ${qualifiedName(load.plan.target)} with no data`,
  );
}

/** A row without a key is in no result, and could not be found again to be deleted. */
async function requireKeys(sql: Sql, { relation, plan }: LoadRow): Promise<void> {
  const [column] = await sql<{ name: string }>(
    `select attname as name from pg_attribute
      where attrelid = $1 and attname = any ($2::text[]) and not attnotnull limit 1`,
    [relation, plan.key],
  );
  if (column) throw mismatch(plan, `may have rows without a key: make the column ${column.name} not null`);
}

const seen = ({ id }: LoadRow): string => `_penstock.${ident(`seen_${id}`)}`;
const doomed = ({ id }: LoadRow): string => `_penstock.${ident(`doomed_${id}`)}`;

const columnsOf = ({ plan }: LoadRow): string => identList(plan.key);

/** As the batch's role may not write in `_penstock`, the login does; it is let at the staged rows for that. */
function notingKeys(writing: Writing): Route {
  const { client, load, role, answerMs } = writing;
  const route = staged(writing);
  const note = `insert into ${seen(load)} select ${columnsOf(load)} from ${stagingTable}`;
  const asLogin = role === undefined ? note : `set local role none; ${note}; set local role ${ident(role)}`;
  return {
    ...route,
    prepare: `${route.prepare}; grant select on ${stagingTable} to session_user`,
    apply: async (rows) => {
      const counts = await route.apply(rows);
      await runAll(client, asLogin, answerMs);
      return counts;
    },
    noteRefused: async (keys) => {
      for (const key of keys) await noteText(writing, key);
    },
  };
}

/** What the key's own types cannot read is no key of the target's. */
async function noteText({ client, load, answerMs }: Writing, key: readonly (string | null)[]): Promise<void> {
  const row = JSON.stringify(Object.fromEntries(load.plan.key.map((name, i) => [name, key[i]])));
  const note = `insert into ${seen(load)} select * from json_populate_record(null::${seen(load)}, ${literal(row)})`;
  try {
    await runAll(client, `savepoint note; ${note}; release savepoint note`, answerMs);
  } catch (error) {
    if (!refusalOf(error)) throw error;
    await runAll(client, 'rollback to savepoint note; release savepoint note', answerMs);
  }
}

async function publish(sql: Sql, load: LoadRow, publishing: Publishing): Promise<Published> {
  if (!comparesKeys(load)) return { phase: 'done' };
  if (load.phase !== 'loaded') return judge(sql, load, publishing);
  return { phase: (await deleteChunk(sql, load, publishing)) ? 'done' : 'loaded' };
}

/** Finds what is to go, and whether that many may. */
async function judge(sql: Sql, load: LoadRow, { maxDeletePercent, role }: Publishing): Promise<Published> {
  const sameKey = await fetchSameKey(sql, load.relation, load.plan);
  const isThere = isLive(load.plan);
  const target = qualifiedName(load.plan.target);
  await sql(`analyze ${seen(load)}`);
  await sql(
    `create table ${doomed(load)} as select 0::bigint as penstock_no, ${columnsOf(load)} from ${target} with no data`,
  );
  await grantOwn(sql, role, 'select', seen(load));
  await grantOwn(sql, role, 'insert', doomed(load));
  // As the role: what row-level security hides from it is not the sync's to delete.
  const [there] = await asRole(sql, role, async () => {
    await sql(
      `insert into ${doomed(load)} select row_number() over (), ${columnsOf(load)} from ${target} as t
        where ${isThere} and not exists (select from ${seen(load)} as s where ${sameKey('t', 's')})`,
    );
    return sql<{ rows: string }>(`select count(*)::text as rows from ${target} as t where ${isThere}`);
  });
  await sql(`alter table ${doomed(load)} add primary key (penstock_no)`);
  const [count] = await sql<Record<'gone' | 'inserted', string>>(
    `select (select count(*) from ${doomed(load)})::text as gone,
            (select coalesce(sum(inserted), 0) from _penstock.checkpoint where load = $1)::text as inserted`,
    [load.id],
  );
  const gone = Number(count!.gone);
  // Of the rows that were there before: those that this load brought are no reason to delete more of the others.
  const refused = tooManyDeletes({
    plan: load.plan,
    gone,
    of: Number(there!.rows) - Number(count!.inserted),
    maxDeletePercent,
  });
  if (refused) return { phase: 'abandoned', refused };
  return { phase: gone === 0 ? 'done' : 'loaded' };
}

/** Deletes (or marks) the next chunk, and records it; whether it was the last. ROWS_SWALLOWED. */
async function deleteChunk(sql: Sql, load: LoadRow, { chunkRows, role }: Publishing): Promise<boolean> {
  const [at] = await sql<{ chunk: number; after: string; last: string }>(
    `select count(*)::int + 1 as chunk, coalesce(max(through), 0)::text as after,
            (select max(penstock_no)::text from ${doomed(load)}) as last
       from _penstock.deletion where load = $1`,
    [load.id],
  );
  const [after, last] = [Number(at!.after), Number(at!.last)];
  const through = Math.min(after + chunkRows, last);
  await sql(
    `create temporary table penstock_chunk on commit drop as
     select ${columnsOf(load)} from ${doomed(load)} where penstock_no > ${after} and penstock_no <= ${through}`,
  );
  if (role !== undefined) await sql(`grant select on pg_temp.penstock_chunk to ${ident(role)}`);
  const sameKey = await fetchSameKey(sql, load.relation, load.plan);
  const deleted = await writingTarget(sql, { load, role }, () =>
    removeChunk(sql, load, sameKey('t', 'c'), through - after),
  );
  await sql(
    `insert into _penstock.deletion (load, chunk, after, through, deleted) values ($1, $2, $3, $4, $5)`,
    [load.id, at!.chunk, after, through, deleted],
  );
  return through === last;
}

/** How many rows it took away; somebody else may have been faster. */
async function removeChunk(sql: Sql, load: LoadRow, same: string, rows: number): Promise<number> {
  const chunk = 'pg_temp.penstock_chunk as c';
  const isThere = isLive(load.plan);
  const removed = await sql.count(removeRows(load.plan, { from: chunk, where: same }));
  if (removed === rows) return removed;
  const left = await sql(
    `select from ${qualifiedName(load.plan.target)} as t join ${chunk} on ${same} where ${isThere} limit 1`,
  );
  if (left.length > 0) throw rowsSwallowed(load.plan);
  return removed;
}
