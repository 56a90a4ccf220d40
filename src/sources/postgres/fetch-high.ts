/**
 * The upper end of an incremental window. A transaction may commit late with a value below one that is visible already,
 * so the maximum is taken first, and counts only when every transaction that was in progress then has ended: those that
 * began later draw later values. What is dated in the future would carry the window past rows still to come: it waits.
 *
 * A transaction gets its id with its first write, and may have drawn its value (`now()`, a sequence's) before. Until then
 * nobody can tell it from a report that only reads: it is waited for within the lag, and then it does not hold the window.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Client } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import type { MappedColumn, PlannedCursor, ResultColumn } from '../../ports/source.ts';
import { ident, literal, textArray } from '../../postgres-client/quote.ts';
import { rowOf, runAll } from '../../postgres-client/query.ts';
import { parseFilled } from './placeholders.ts';
import { asSubselect } from './read-statement.ts';
import { beginReading, shortMs } from './source-session.ts';
import { fetchStandby, type Standby } from './standby.ts';

const dayMs = 86_400_000;
/** Taking the maximum may have to read the whole result. */
const maximumMs = 3_600_000;
const firstPollMs = 20;
const maxPollMs = 1_000;

/**
 * The greatest value that no later transaction can draw any more, in SQL; undefined where the type does not tell. `now` is
 * a moment that has passed. What is dated later would carry the window past rows still to come, and so would a day or a
 * rounded second that is not over; with a lookback that long it is read again anyway. Naive values may be of any zone.
 */
function capOf(typeName: string, now: string, { lookbackMs }: PlannedCursor): string | undefined {
  const [, precision] = /^timestamp\((\d)\) with time zone$/.exec(typeName) ?? [];
  switch (typeName.replace(/\(\d\)/, '')) {
    case 'timestamp with time zone':
      return precision === undefined ? now : `${now} - interval '1 second' * ${10 ** -Number(precision)}`;
    case 'timestamp without time zone':
      return `(${now} at time zone 'UTC') + interval '14 hours'`;
    case 'date':
      return lookbackMs >= dayMs
        ? `((${now} at time zone 'UTC') + interval '14 hours')::date`
        : `((${now} at time zone 'UTC') - interval '12 hours')::date - 1`;
    default:
      return undefined;
  }
}

export interface HighRequest {
  query: string;
  cursor: PlannedCursor;
  columns: readonly ResultColumn[];
  low: string | null;
  runTime?: string | undefined;
  mapping?: readonly MappedColumn[] | undefined;
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
  const { cursor, low } = request;
  const { sql } = await parseFilled({ ...request, window: { low, high: null } });
  const standby = await fetchStandby(client);
  const now = standby ? longReplayed(standby, cursor) : 'pg_catalog.now()';
  if (now === null) return low;
  // The maximum is to be of a snapshot that is younger than what the standby said.
  if (standby) await runAll(client, `commit; ${beginReading}`, shortMs);
  const taken = await rowOf<Maximum>(client, maximumMs, maximumStatement(sql, request, now));
  if (taken.hasNull) {
    const text = `The cursor column ${cursor.column} is NULL in some rows of the result.`;
    throw new PenstockError('CURSOR_NULL', text, { pointer: '/cursor/column' });
  }
  if (taken.high === null || !taken.isNew) return low;
  // Each look takes a snapshot of its own from here on.
  await runAll(client, 'commit', shortMs);
  if (standby) {
    await outwait(request);
    return taken.high;
  }
  return (await haveEnded(client, taken, request)) ? taken.high : low;
}

/** The lag before the moment up to which the standby knows everything. */
const longReplayed = ({ replayedUntil }: Standby, { lagMs }: PlannedCursor): string | null =>
  replayedUntil && `(${literal(replayedUntil)}::timestamptz - interval '${lagMs} milliseconds')`;

const typeOf = ({ columns, cursor }: HighRequest): string =>
  columns.find((each) => each.name === cursor.column)!.typeName;

/** On a standby a time is old enough by its value; of others all that can be done is to wait as long. */
async function outwait(request: HighRequest): Promise<void> {
  const isZoned = /^(timestamp.* with time zone|date)$/.test(typeOf(request));
  if (!isZoned) await delay(request.cursor.lagMs, undefined, { signal: request.signal });
}

/** Not max(), which not every type has that can be ordered (uuid). */
function maximumStatement(sql: string, request: HighRequest, now: string): string {
  const { cursor, low } = request;
  const typeName = typeOf(request);
  const column = `q.${ident(cursor.column)}`;
  const cap = capOf(typeName, now, cursor);
  const isPast = cap === undefined ? '' : ` and ${column} <= ${cap}`;
  const hasNull = `exists (select from ${asSubselect(sql)} where ${column} is null)`;
  const isNew = low === null ? 'true' : `t.high > ${literal(low)}::${typeName}`;
  return `select t.high::text as high, coalesce(${isNew}, false) as "isNew",
      ${cursor.nulls === 'refuse' ? hasNull : 'false'} as "hasNull",
      pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())::text as next,
      ${openTransactions} as open
    from (select (select ${column} from ${asSubselect(sql)} where ${column} is not null${isPast}
      order by ${column} desc limit 1) as high) as t`;
}

/** Of this database's users; our own sessions read, or keep books. */
const openTransactions = `array(select l.virtualxid from pg_catalog.pg_locks l
    join pg_catalog.pg_stat_activity a on a.pid = l.pid
   where l.locktype = 'virtualxid' and l.virtualxid = l.virtualtransaction
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
