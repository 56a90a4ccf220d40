/**
 * The upper end of an incremental window. A transaction may commit late with a value below one that is visible already,
 * so the maximum is taken first, and counts only when every transaction that was in progress then has ended: those that
 * began later draw later values. What is dated in the future would carry the window past rows still to come: it waits.
 */
import type { Client } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import type { PlannedCursor } from '../../ports/source.ts';
import { ident, literal, literalOrNull } from '../../postgres-client/quote.ts';
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
  return (await haveEnded(client, taken.next, request)) ? taken.high : request.low;
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
      pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())::text as next
    from (select max(${column}) as high from ${asSubselect(sql)}${isPast}) as t`;
}

/** Waits, within the lag, until every transaction below `next` has ended. */
async function haveEnded(client: Client, next: string, { cursor, signal }: HighRequest): Promise<boolean> {
  const sql = `select pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot()) >= ${literalOrNull(next)}::bigint as ended`;
  const deadline = performance.now() + cursor.lagMs;
  for (let waitMs = firstPollMs; ; waitMs = Math.min(2 * waitMs, maxPollMs)) {
    signal.throwIfAborted();
    const { ended } = await rowOf<{ ended: boolean }>(client, shortMs, sql);
    if (ended) return true;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0) return false;
    await new Promise((resolve) => setTimeout(resolve, Math.min(waitMs, leftMs)));
  }
}
