/** Queries with a deadline of their own: a server that has frozen, or a network that swallows answers, ends them too. */
import type { Client, QueryResult } from 'pg';
import { destroy } from './connect.ts';

/** Raised on the client when the server did not answer in time; the connection is gone then. */
const noAnswer = (deadlineMs: number): Error =>
  Object.assign(new Error(`no answer within ${deadlineMs} ms`), { code: 'ETIMEDOUT' });

/** Settles as the work does, or cuts the connection after the deadline. */
export async function withDeadline<T>(client: Client, deadlineMs: number, work: Promise<T>): Promise<T> {
  const timer = setTimeout(() => destroy(client, noAnswer(deadlineMs)), deadlineMs);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
  }
}

/** Several statements in one round trip; the result of each, in order. */
export async function runAll(client: Client, sql: string, deadlineMs: number): Promise<QueryResult[]> {
  const results = (await withDeadline(client, deadlineMs, client.query(sql))) as QueryResult | QueryResult[];
  return Array.isArray(results) ? results : [results];
}

/** One statement with parameters; its rows. */
export async function rowsOf<Row>(
  client: Client,
  deadlineMs: number,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const query = { text: sql, values: [...values], queryMode: 'extended' };
  const result = await withDeadline(client, deadlineMs, client.query(query));
  return result.rows as Row[];
}

/** One row, which must be there. */
export async function rowOf<Row>(
  client: Client,
  deadlineMs: number,
  sql: string,
  values: readonly unknown[] = [],
): Promise<Row> {
  const [row] = await rowsOf<Row>(client, deadlineMs, sql, values);
  if (row === undefined) throw new Error('the statement returned no row');
  return row;
}

/** Counts, which the server sends as text, as numbers; exact up to 2^53. */
export const asNumbers = <Name extends string>(row: Record<Name, string>): Record<Name, number> =>
  Object.fromEntries(Object.entries(row).map(([name, count]) => [name, Number(count)])) as Record<
    Name,
    number
  >;
