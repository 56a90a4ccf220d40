/** What a run of a sync would do, and why it would be refused; told before anything is written. */
import type { ErrorCode } from './errors.ts';

/** Something that a run would be refused for. */
export interface PlanRefusal {
  code: ErrorCode;
  message: string;
  /** The member of the spec to change, as a JSON pointer. */
  pointer: string | null;
  cure: string;
}

export interface PlannedRead {
  /** COPY, or a cursor's portal where the source has no COPY. */
  reader: 'copy' | 'cursor';
  /** How rows travel; binary only where every column's bytes mean the same on both sides. */
  format: 'binary' | 'text';
  /** An attempt goes on after the last batch that was committed; otherwise each begins with the first row again. */
  resumes: boolean;
  why: string;
  /** Rows come in the order of these columns; empty: as they come. */
  order: string[];
  /** The source's planner's guess. */
  estimatedRows: number | null;
  /** The source sorts the whole result for that order, at every attempt. */
  sorts: boolean;
}

export interface PlannedKey {
  columns: string[];
  /** Proven from the source's catalog that no two rows share one. */
  unique: boolean;
  mayBeNull: boolean;
  consequence: string;
}

/**
 * `none`: the same type; `fits`: another that keeps every value as it prints; `created`: the column will be made; `unwritten`:
 * the tombstone's column, which the target need not have.
 */
export const conversions = ['none', 'fits', 'created', 'unwritten', 'refused'] as const;

export interface PlannedColumn {
  name: string;
  /** How it is made of the query's column, where the spec maps it; null: as it is. */
  mapped: string | null;
  /** Of what the source sends. */
  sourceType: string;
  /** Null: the target has no such column. */
  targetType: string | null;
  conversion: (typeof conversions)[number];
  /** Why it cannot travel as binary; null where it could. */
  textBecause: string | null;
}

export interface PlannedLock {
  on: string;
  /** As SQL calls it: ROW EXCLUSIVE … */
  lock: string;
  when: string;
}

export interface PlannedTarget {
  /** With its schema. */
  table: string;
  exists: boolean;
  /** The planner's guess; null where it has none. */
  estimatedRows: number | null;
  /** What will be executed to make it. */
  ddl: string[];
}

export const cursorFates = ['first', 'kept', 'reset', 'refused'] as const;
export const loadFates = ['continued', 'abandoned', 'refused'] as const;

export interface SyncPlan {
  /** Nothing is known that a run would be refused for. */
  ok: boolean;
  /** All of them; what could not be looked at because of one is not there. */
  refusals: PlanRefusal[];
  warnings: string[];
  read: PlannedRead | null;
  key: PlannedKey | null;
  columns: PlannedColumn[];
  target: PlannedTarget | null;
  locks: PlannedLock[];
  /** Rows of the target that a run would delete; null where nobody knows before it has read all. */
  deletes: { expected: number | null; why: string } | null;
  /** `first`: there is none yet; `reset`: everything is read again. */
  cursor: { column: string; becomes: (typeof cursorFates)[number]; why: string } | null;
  /** A load that an earlier run has not finished. */
  unfinishedLoad: { loadId: string; rows: number; becomes: (typeof loadFates)[number]; why: string } | null;
}
