/**
 * Rows that the target refuses, kept in `_penstock.reject`: committed by the batch that they were read in, with its
 * checkpoint, or not at all. A key has one open reject at most; a later load that reads the row again settles it, or
 * refuses it again and counts one attempt more.
 *
 * Values are kept nowhere else: what leaves this database about a reject are SQLSTATE, column and constraint.
 */
import { createHash } from 'node:crypto';
import { keepsValues } from '../../copy/column-fit.ts';
import { PenstockError } from '../../domain/errors.ts';
import { placeholdersIn } from '../../domain/placeholders.ts';
import type { LoadPlan } from '../../ports/destination.ts';
import type { LeaseRequest, Reject } from '../../ports/partition-writer.ts';
import type { KeyAgain } from '../../ports/source.ts';
import type { SqlRows } from './destination-session.ts';
import type { LoadRow } from './load-row.ts';
import { modeOf } from './modes/modes.ts';
import { sumCheckpoints } from './sum-checkpoints.ts';

/**
 * The rows that the load has rejected, with nobody adding to them before the end of the transaction: batches of several
 * partitions with rejects take turns. Not by a lock on the load, which `finish` holds while it waits for their leases.
 */
export async function lockRejected(sql: SqlRows, load: string): Promise<number> {
  await sql('select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended($1, 0))', [
    `reject:${load}`,
  ]);
  return (await sumCheckpoints(sql, load)).rejected;
}

/** Forgets what stopped an attempt at the partition: this one will see for itself. */
export const forgetStopped = (sql: SqlRows, { load, partition }: LeaseRequest): Promise<unknown> =>
  sql('delete from _penstock.reject where load = $1 and partition = $2 and stopped', [load, partition]);

/**
 * Forgets what a load has rejected that begins again. What it knows by key may be an earlier load's reject, which is to
 * be settled or refused again: it is of no batch now.
 */
export async function forgetRejects(sql: SqlRows, load: string): Promise<void> {
  await sql('delete from _penstock.reject where load = $1 and key_hash is null', [load]);
  await sql('update _penstock.reject set batch = 0 where load = $1', [load]);
}

interface RejectedIn {
  load: LoadRow;
  partition: number;
  batch: number;
  /** Not committed with a checkpoint: they are why the run stops. */
  stopped: boolean;
}

/** Records the rejects of a batch, in its transaction. */
export async function insertRejects(
  sql: SqlRows,
  { load, partition, batch, stopped }: RejectedIn,
  rejects: readonly Reject[],
): Promise<void> {
  const rows = rejects.map((reject) => ({
    ...reject,
    key_hash: reject.key && createHash('sha256').update(JSON.stringify(reject.key)).digest('hex'),
  }));
  await sql(
    `insert into _penstock.reject as known (sync, load, partition, batch, low, stopped,
         key_hash, key, rows, "values", sqlstate, "column", "constraint", cause)
     select $1, $2, $3, $4, $5, $6, key_hash, key, rows, "values", sqlstate, "column", "constraint", cause
       from json_to_recordset($7) as r(key_hash text, key text[], rows integer, "values" text[], sqlstate text,
            "column" text, "constraint" text, cause text)
     on conflict (sync, key_hash) where settled_at is null and not stopped do update
        set load = excluded.load, partition = excluded.partition, batch = excluded.batch, rows = excluded.rows,
            "values" = excluded."values", sqlstate = excluded.sqlstate, "column" = excluded."column",
            "constraint" = excluded."constraint", cause = excluded.cause,
            attempts = known.attempts + 1, last_seen_at = now()`,
    [load.sync, load.id, partition, batch, load.low, stopped, JSON.stringify(rows)],
  );
}

/** A query that is written around its window says nothing of the rows below it. */
const canReadBelow = ({ query }: LoadPlan): boolean =>
  placeholdersIn(query).every((name) => name === 'run_time');

/**
 * Whether a key that was rejected under one plan can be asked for under another: values of the same columns, which
 * their types still take.
 */
const meansTheSame = (was: LoadPlan, is: LoadPlan): boolean =>
  was.key.length === is.key.length &&
  was.key.every((name, i) => name === is.key[i] && keepsValues(typeOf(was, name), typeOf(is, name)));

const typeOf = ({ columns }: LoadPlan, name: string): string =>
  columns.find((column) => column.name === name)!.typeName;

const isOpen = `sync = $1 and settled_at is null and not stopped`;

/**
 * The keys that the next load reads again, though its window begins above them: those of the open rejects. A mode that may
 * write a row twice reads all of the key, for the row that was refused may have been found by looking back.
 */
export async function fetchKeysAgain(sql: SqlRows, sync: string, plan: LoadPlan): Promise<KeyAgain[]> {
  if (!canReadBelow(plan)) return [];
  const { onlyAdds } = modeOf(plan);
  const loads = await sql<{ id: string; plan: LoadPlan }>(
    `select id, plan from _penstock.load where id in (select load from _penstock.reject where ${isOpen})`,
    [sync],
  );
  const open = await sql<{ key: (string | null)[]; low: string | null }>(
    `select key, low from _penstock.reject where ${isOpen} and key_hash is not null and load = any ($2) order by id`,
    [sync, loads.filter((load) => meansTheSame(load.plan, plan)).map(({ id }) => id)],
  );
  return open.map((reject) => ({
    key: Object.fromEntries(plan.key.map((name, i) => [name, reject.key[i]!])),
    low: onlyAdds ? reject.low : null,
  }));
}

/**
 * A load that is done settles what it has read again and not rejected itself: that is written, gone from the result, or left
 * to the next window by a newer cursor. What could not be read again stays open.
 */
export async function settleRejects(sql: SqlRows, { id, sync, low, plan, again }: LoadRow): Promise<void> {
  await sql('delete from _penstock.reject where sync = $1 and stopped', [sync]);
  await sql(
    `update _penstock.reject set settled_at = now(), settled_by = $2, "values" = null
      where ${isOpen} and (load <> $2 or batch = 0)
        and ($3 or to_jsonb(key) in (select jsonb_array_elements($4::jsonb)))`,
    [sync, id, low === null, JSON.stringify(again.map(({ key }) => plan.key.map((name) => key[name])))],
  );
}

/** More rows were refused than the sync allows. Names the first one's places, no value. */
export function tooManyRejects(
  { plan }: LoadRow,
  { sqlstate, column, constraint }: Reject,
  maxRejects: number,
): PenstockError {
  const place = [
    `SQLSTATE ${sqlstate}`,
    ...(column === null ? [] : [`column ${column}`]),
    ...(constraint === null ? [] : [`constraint ${constraint}`]),
  ].join(', ');
  return new PenstockError(
    'VALUE_REFUSED',
    `Writing ${plan.target.schema}.${plan.target.table}: more rows were refused than maxRejects (${maxRejects}) allows; the first of them by ${place}. Their keys and causes: penstock rejects, or the table _penstock.reject there.`,
    { pointer: '/limits/maxRejects', meta: { sqlstate, column, constraint } },
  );
}
