/**
 * The statements that compare two databases (src/ports/comparison.ts), the same for both. `row(…)::text` prints each value
 * by its type's output function and tells NULL from the empty text. hashtextextended gives the same on servers of one byte
 * order, for the same bytes; a deterministic collation keeps it to them.
 */
import type { Client } from 'pg';
import { bucketBits, type BucketSum, type RowHash, type RowsPart } from '../ports/comparison.ts';
import type { ResultColumn } from '../ports/source.ts';
import { cancelStatement } from './cancel-statement.ts';
import { destroy } from './connect.ts';
import { printed } from './print-column.ts';
import { ident, literal } from './quote.ts';
import { rowsOf, runAll } from './query.ts';

/** The rows of one side. */
export interface ComparedRelation {
  /** `… as q` */
  from: string;
  where: readonly string[];
  columns: readonly ResultColumn[];
  key: readonly string[];
}

/** How long one statement may take: where no range of the key can be read by itself, it sums up the whole table. */
const compareMs = 3_600_000;

export async function sumBuckets(
  client: Client,
  relation: ComparedRelation,
  part: RowsPart,
  signal: AbortSignal,
): Promise<BucketSum[]> {
  const sql = `select bucket, count(*)::text as rows, sum(hash)::text as sum
    from ${hashedRows(relation, part)} group by bucket`;
  const rows = await compared<{ bucket: number; rows: string; sum: string }>(client, sql, signal);
  return rows.map((row) => ({ ...row, rows: Number(row.rows) }));
}

export function listRows(
  client: Client,
  relation: ComparedRelation,
  { part, buckets }: { part: RowsPart; buckets: readonly number[] },
  signal: AbortSignal,
): Promise<RowHash[]> {
  const sql = `select key, hash::text as hash
    from ${hashedRows(relation, part)} where bucket = any (array[${buckets.join(', ')}])`;
  return compared(client, sql, signal);
}

/**
 * Hashes are of bytes, those in UTF-8 whatever the database's encoding. In another one they are not a text there, which not
 * every encoding takes as one; of an array of one the hash is 31 more, and begins again behind the greatest number.
 */
const hashInUtf8 = (text: string, seed: number): string =>
  `case when pg_catalog.getdatabaseencoding() = 'UTF8' then pg_catalog.hashtextextended(${text} collate "C", ${seed})
     else (mod(pg_catalog.hash_array_extended(array[pg_catalog.convert_to(${text}, 'UTF8')], ${seed})
         - 31::numeric + 9223372036854775808 + 18446744073709551616, 18446744073709551616) - 9223372036854775808)::bigint end`;

function hashedRows({ from, where, columns, key }: ComparedRelation, part: RowsPart): string {
  const rowOf = (names: readonly ResultColumn[]): string =>
    `row(${names.map(({ name, typeName }) => printed(`q.${ident(name)}`, typeName)).join(', ')})::text collate "C"`;
  const keyColumns = key.map((name) => columns.find((column) => column.name === name)!);
  const shift = bucketBits * part.path.length;
  const prefix = part.path.reduce((sum, bucket, i) => sum | (BigInt(bucket) << BigInt(bucketBits * i)), 0n);
  const conditions = [...where, ...inRange(keyColumns[0], part)];
  return `(select h.key, h.hash, ((h.place >> ${shift}) & ${2 ** bucketBits - 1})::int as bucket
    from (select ${keyColumns.length === 0 ? 'null::text' : 'r.key'} as key, r.hash,
        ${keyColumns.length === 0 ? 'r.hash' : hashInUtf8('r.key', 0)} as place
      from (select t.key, ${hashInUtf8('t.text', 1)} as hash
        from (select ${keyColumns.length === 0 ? 'null' : rowOf(keyColumns)} as key, ${rowOf(columns)} as text
          from ${from}${conditions.length === 0 ? '' : ` where ${conditions.join(' and ')}`}) as t) as r) as h
    where (h.place & ${(1n << BigInt(shift)) - 1n}) = ${prefix}) as b`;
}

function inRange(first: ResultColumn | undefined, { after, upTo }: RowsPart): string[] {
  if (!first || (after === undefined && upTo === undefined)) return [];
  const column = `q.${ident(first.name)}`;
  const beside = (operator: string, value: string) =>
    `${column} ${operator} ${literal(value)}::${first.typeName.replace(/\([^)]*\)/, '')}`;
  const above = after === undefined ? [] : [beside('>', after)];
  if (upTo !== undefined) return [...above, beside('<=', upTo)];
  return [`(${[...above, `${column} is null`].join(' or ')})`];
}

async function compared<Row>(client: Client, sql: string, signal: AbortSignal): Promise<Row[]> {
  signal.throwIfAborted();
  const onAbort = () => void cancelStatement(client).then(() => destroy(client));
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await runAll(client, `set local statement_timeout = ${compareMs}; set local jit = off`, compareMs);
    const rows = await rowsOf<Row>(client, compareMs + 15_000, sql);
    // A connection that is about to be cut must not pass for one that can be used again.
    signal.throwIfAborted();
    return rows;
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
