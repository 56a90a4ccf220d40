/**
 * What comparing two databases needs of each: checksums of parts of the rows, computed where the rows are, and the keys
 * and hashes of small parts. A row's hash is of its columns' text in the plan's order, printed under the same settings on
 * both sides; sums of hashes do not depend on the order of rows.
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
