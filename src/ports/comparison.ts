/**
 * What comparing two databases needs of each: checksums of parts of the rows, computed where the rows are, and the keys
 * and hashes of small parts. Sums of hashes do not depend on the order of rows.
 *
 * A row's text is what PostgreSQL prints for a row of its columns, in the plan's order, each as it travels: `(1,"a b",)`,
 * where nothing between commas is NULL and what holds a comma, quote, backslash, parenthesis or blank, or is empty, stands
 * in quotes, with quotes and backslashes doubled. The text of its key is made likewise of the key's columns.
 *  - A row's hash is `hashtextextended(text, 1)`, a signed integer of 64 bits.
 *  - Its place is `hashtextextended(text of the key, 0)`, or its hash where there is no key. The lowest `bucketBits` bits of
 *    the place are its bucket in the whole part, the next ones its bucket in that bucket, and so on.
 * Both are of the text's bytes in UTF-8. The contract of sources has the hash of a row to check by.
 */
import type { SyncId } from '../domain/ids.ts';
import type { LoadPlan, SoftDelete, TableName } from './destination.ts';
import type { CursorWindow, MappedColumn, PlannedCursor, ResultColumn } from './source.ts';

/** How many buckets a part is split into by the hash of the key. */
export const bucketBits = 8;

/** Some of the rows. Parts that differ in one member are disjoint. */
export interface RowsPart {
  /** The first key column lies in (after, upTo]; NULLs belong where there is no `upTo`. */
  after?: string;
  upTo?: string;
  /** Bucket in bucket, from the lowest bits of the key's hash up. */
  path: readonly number[];
}

export interface BucketSum {
  bucket: number;
  rows: number;
  /** Decimal text. */
  sum: string;
}

export interface RowHash {
  /** As SQL prints the row of its key columns; null for rows without a key. */
  key: string | null;
  hash: string;
}

/** One side. A signal ends the statement that runs; its reason is thrown. */
export interface ComparedRows {
  sumBuckets(part: RowsPart, signal: AbortSignal): Promise<BucketSum[]>;
  /** The rows of some of the part's buckets. */
  listRows(part: RowsPart, buckets: readonly number[], signal: AbortSignal): Promise<RowHash[]>;
}

export interface SourceRows {
  query: string;
  columns: readonly ResultColumn[];
  key: readonly string[];
  cursor: PlannedCursor | null;
  window: CursorWindow;
  runTime: string | undefined;
  mapping: readonly MappedColumn[] | undefined;
  /** Rows that it buries are in no target. */
  deletedWhen: LoadPlan['deletedWhen'] | undefined;
  /** `loaded`: the rows up to the window's end; `later`: those that the next window brings. */
  which: 'loaded' | 'later';
}

export interface DestinationRows {
  sync: SyncId;
  target: TableName;
  /** The sync's rows; absent: all. */
  scope: LoadPlan['scope'] | undefined;
  /** As the target has them, in the plan's order. */
  columns: readonly ResultColumn[];
  key: readonly string[];
  /** Rows that it marks are not compared. */
  softDelete: SoftDelete | undefined;
}

export interface ComparedTarget extends ComparedRows {
  /** The sync's open rejects, by key as in `RowHash`: rows that the target has refused. */
  listRejected(): Promise<{ key: string | null; rows: number }[]>;
}
