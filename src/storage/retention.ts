/**
 * Forgets what is older than it is kept (src/domain/retention.ts), a bounded number of rows a transaction. A run is
 * forgotten by when it ended, never while it is open, and all of it at once.
 */
import type { Stretch, Tally } from '../domain/maintenance.ts';
import { keptDays } from '../domain/retention.ts';
import type { Tx } from './transaction.ts';

const rowsAtOnce = 2_000;
const syncsAtOnce = 500;

const before = (days: number): string => `(select clock_timestamp() - interval '${days} days')`;

/**
 * Events and audit rows are looked at from their oldest id on, so that neither needs an index of times: rows are numbered
 * about in the order in which they were written.
 */
export async function forgetLogs(tx: Tx): Promise<Stretch> {
  const tally = {
    events: await forgetNumbered(tx, 'event', keptDays.events),
    audit: await forgetNumbered(tx, 'audit', keptDays.audit),
    answers: await countDeleted(
      tx,
      `delete from penstock.idempotency_key where (api_key_id, key) in (
         select api_key_id, key from penstock.idempotency_key where created_at < ${before(keptDays.answers)}
         limit ${rowsAtOnce} for update skip locked)`,
    ),
  };
  const isMore = Object.values(tally).some((count) => count === rowsAtOnce);
  return { tally, ...(isMore && { next: '' }) };
}

const forgetNumbered = (tx: Tx, table: 'event' | 'audit', days: number): Promise<number> =>
  countDeleted(
    tx,
    `delete from penstock.${table} where id in (
       select id from (select id, at from penstock.${table} order by id limit ${rowsAtOnce}) oldest
       where at < ${before(days)})`,
  );

/** Walks the syncs in order of their ids: what is over of each is found by the indexes that the sync has anyway. */
export async function forgetRuns(tx: Tx, afterSync: string): Promise<Stretch> {
  const { rows } = await tx.query<{ id: string }>(
    'select id from penstock.sync where id > $1 order by id limit $2',
    [afterSync, syncsAtOnce],
  );
  const syncs = rows.map(({ id }) => id);
  const tally = await forgetRunsOf(tx, syncs);
  const isMore = tally['runs'] === rowsAtOnce || tally['slots'] === rowsAtOnce;
  if (isMore) return { tally, next: afterSync };
  const last = syncs.length === syncsAtOnce ? syncs.at(-1) : undefined;
  return { tally, ...(last !== undefined && { next: last }) };
}

async function forgetRunsOf(tx: Tx, syncs: readonly string[]): Promise<Tally> {
  const { rows } = await tx.query<{ runs: number; slots: number }>(
    `with old as materialized (
       select id from penstock.run
       where sync_id = any($1) and queued_at < ${before(keptDays.runs)} and ended_at < ${before(keptDays.runs)}
       limit ${rowsAtOnce} for update skip locked
     ), attempts as (
       delete from penstock.run_attempt where run_id in (select id from old)
     ), joined as (
       delete from penstock.joined_trigger where sync_id = any($1) and run_id in (select id from old)
     ), backfills as (
       delete from penstock.backfill where sync_id = any($1) and ended_at < ${before(keptDays.runs)}
     ), slots as (
       delete from penstock.slot where run_id in (select id from old)
     ), runs as (
       delete from penstock.run where id in (select id from old) returning 1
     ), runless as (
       delete from penstock.slot where (sync_id, nominal_at) in (
         select sync_id, nominal_at from penstock.slot
         where sync_id = any($1) and run_id is null
           and nominal_at < ${before(keptDays.runs)} and nominal_to < ${before(keptDays.runs)}
         limit ${rowsAtOnce} for update skip locked)
       returning 1
     )
     select (select count(*) from runs)::int as runs, (select count(*) from runless)::int as slots`,
    [syncs],
  );
  return { ...rows[0]! };
}

async function countDeleted(tx: Tx, sql: string): Promise<number> {
  return (await tx.query(sql)).rowCount ?? 0;
}
