/**
 * The upper end of an incremental window. A transaction may commit late with a value below one that is visible already,
 * so the maximum is taken first, and counts only when every transaction that was in progress then has ended: those that
 * began later draw later values. What is dated in the future would carry the window past rows still to come: it waits.
 *
 * A transaction gets its id with its first write, and may have drawn its value (`now()`, a sequence's) before. Until then
 * nobody can tell it from a report that only reads: it is waited for within the lag, and then it does not hold the window.
 */
import type { Client } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import type { PlannedCursor } from '../../ports/source.ts';
import { ident, literal, textArray } from '../../postgres-client/quote.ts';
import { rowOf, runAll } from '../../postgres-client/query.ts';
import { parseQuery } from './parse-query.ts';
import { asSubselect } from './read-statement.ts';
import { shortMs } from './source-session.ts';

/** Taking the maximum may have to read the whole result. */
const maximumMs = 3_600_000;
const firstPollMs = 20;
const maxPollMs = 1_000;

/** The latest that a value may be and still be of the past: naive timestamps may be those of any zone. */
const capOf: Readonly<Record<string, string>> = {
  'timestamp with time zone': 'pg_catalog.now()',
  'timestamp without time zone': `(pg_catalog.now() at time zone 'UTC') + interval '14 hours'`,
  date: `((pg_catalog.now() at time zone 'UTC') + interval '14 hours')::date`,
};

export interface HighRequest {
  query: string;
  cursor: PlannedCursor;
  /** As SQL writes it. */
  typeName: string;
  low: string | null;
  signal: AbortSignal;
}

interface Maximum {
  high: string | null;
  isNew: boolean;
  hasNull: boolean;
  /** The first transaction id that was not given out yet. */
  next: string;
  /** Virtual ids of the transactions that are open, written to or not. */
  open: string[];
}

/** The safe high, or `low` when there is nothing new or it did not become safe in time. CURSOR_NULL. */
export async function fetchHigh(client: Client, request: HighRequest): Promise<string | null> {
  const { sql } = await parseQuery(request.query);
  const taken = await rowOf<Maximum>(client, maximumMs, maximumStatement(sql, request));
  if (taken.hasNull) {
    const text = `The cursor column ${request.cursor.column} is NULL in some rows of the result.`;
    throw new PenstockError('CURSOR_NULL', text, { pointer: '/cursor/column' });
  }
  if (taken.high === null || !taken.isNew) return request.low;
  // Each look takes a snapshot of its own from here on.
  await runAll(client, 'commit', shortMs);
  return (await haveEnded(client, taken, request)) ? taken.high : request.low;
}

function maximumStatement(sql: string, { cursor, typeName, low }: HighRequest): string {
  const column = `q.${ident(cursor.column)}`;
  const baseType = typeName.replace(/\(\d+\)/, '');
  const cap = capOf[baseType];
  const isPast = cap === undefined ? '' : ` where ${column} <= ${cap}`;
  const hasNull = `exists (select from ${asSubselect(sql)} where ${column} is null)`;
  const isNew = low === null ? 'true' : `t.high > ${literal(low)}::${typeName}`;
  return `select t.high::text as high, coalesce(${isNew}, false) as "isNew",
      ${cursor.nulls === 'refuse' ? hasNull : 'false'} as "hasNull",
      pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())::text as next,
      ${openTransactions} as open
    from (select max(${column}) as high from ${asSubselect(sql)}${isPast}) as t`;
}

/** Of this database's users; our own sessions read, or keep books. A standby's own transactions never write. */
const openTransactions = `array(select l.virtualxid from pg_catalog.pg_locks l
    join pg_catalog.pg_stat_activity a on a.pid = l.pid
   where l.locktype = 'virtualxid' and l.virtualxid = l.virtualtransaction and not pg_catalog.pg_is_in_recovery()
     and a.datname = pg_catalog.current_database() and a.usesysid is not null
     and a.application_name <> 'penstock')`;

/**
 * Waits, within the lag, until every transaction has ended that was open when the maximum was taken; false when one that
 * had written by then has not.
 */
async function haveEnded(
  client: Client,
  { next, open }: Maximum,
  { cursor, signal }: HighRequest,
): Promise<boolean> {
  const sql = `select pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) >= ${literal(next)}::bigint as "writersEnded",
    not exists (select from pg_catalog.pg_locks
      where locktype = 'virtualxid' and virtualxid = virtualtransaction and virtualxid = any (${textArray(open)})) as "allEnded"`;
  const deadline = performance.now() + cursor.lagMs;
  for (let waitMs = firstPollMs; ; waitMs = Math.min(2 * waitMs, maxPollMs)) {
    signal.throwIfAborted();
    const { writersEnded, allEnded } = await rowOf<{ writersEnded: boolean; allEnded: boolean }>(
      client,
      shortMs,
      sql,
    );
    if (writersEnded && allEnded) return true;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return writersEnded;
    await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, leftMs)));
  }
}
