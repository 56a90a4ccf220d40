/** What a query's result amounts to, so that it can be told from another one without a value leaving the source. */
import type { Client } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import { rowOf } from '../../postgres-client/query.ts';
import { parseQuery } from './parse-query.ts';
import { asSubselect } from './read-statement.ts';
import { shortMs } from './source-session.ts';

/** A hash of its rows, in the order in which they come. */
export async function fetchFingerprint(client: Client, query: string): Promise<string> {
  const { sql } = await parseQuery(query);
  const { fingerprint } = await rowOf<{ fingerprint: string }>(
    client,
    shortMs,
    `select pg_catalog.md5(coalesce(pg_catalog.string_agg(q::pg_catalog.text, E'\\n'), '')) as fingerprint
     from ${asSubselect(sql)}`,
  );
  return fingerprint;
}

/** Where the query is that an error is about; a source that does not answer is not the query's fault. */
export function aboutFingerprint(error: unknown): unknown {
  const { code, message, meta } = error as PenstockError;
  if (!['SOURCE_SQL', 'SOURCE_PERMISSION', 'QUERY_NOT_ALLOWED'].includes(code)) return error;
  return new PenstockError(code, message, {
    pointer: '/skipIfUnchanged',
    cause: error,
    ...(meta && { meta }),
  });
}
