/**
 * What differs between the modes of writing, as the commit protocol sees it. A mode is one file beside this one, listed
 * in `modes.ts`, and a row of the table `domain/write-modes.ts`; nothing else asks for a mode by name. The protocol itself
 * (leases, checkpoints, proof of the end, receipt) is the same for all.
 */
import type { Client } from 'pg';
import type { PenstockError } from '../../../domain/errors.ts';
import type { PlannedLock } from '../../../domain/sync-plan.ts';
import type { WriteMode } from '../../../domain/write-modes.ts';
import type { LoadPlan, PublishLimits } from '../../../ports/destination.ts';
import type { BatchCounts } from '../../../ports/partition-writer.ts';
import type { Sql } from '../destination-session.ts';
import type { LoadRow } from '../load-row.ts';
import type { SameKey } from '../key-index.ts';
import type { TargetColumn, UnwrittenColumn } from '../target-columns.ts';

export interface Mode extends WriteMode {
  /** What the writer must have been granted on a target that is there: SELECT, INSERT … */
  readonly rights: readonly string[];
  /** What it would lock of the target, and why it would be refused by it, found out without writing. */
  foresee(sql: Sql, target: Foreseen): Promise<Outlook>;
  /** Rows are committed where nobody sees them; until the load is published it can be abandoned without a trace. */
  readonly staged?: boolean;
  /** Makes what the load needs beside its target, in the transaction that opens it. */
  open?(sql: Sql, load: LoadRow, publishing: Publishing): Promise<void>;
  /**
   * Takes back what earlier attempts have written, where that is needed, in the transaction that begins a load again
   * which cannot resume; its checkpoints go with it.
   */
  restart?(sql: Sql, load: LoadRow): Promise<unknown>;
  /** Where an attempt's batches go first. */
  route(writing: Writing): Route;
  /**
   * Publishes, after the end was proven and while every lease is held; repeated, each time in a transaction of its own,
   * until it says `done`. It must find in the destination how far it got. Absent: the batches have done it all.
   */
  publish?(sql: Sql, load: LoadRow, publishing: Publishing): Promise<Published>;
  /** Drops what `open` made, in the transaction that makes the load done or abandoned. */
  clear?(sql: Sql, load: LoadRow): Promise<unknown>;
}

/** A target, before a load is opened for it. */
export interface Foreseen {
  readonly plan: LoadPlan;
  /** Its oid; null: it is made. */
  readonly relation: string | null;
  /** The role that the connection was granted as. */
  readonly role: string | undefined;
  readonly keepPrevious: boolean;
}

export interface Outlook {
  readonly locks: readonly Omit<PlannedLock, 'on'>[];
  readonly refusal?: PenstockError | null;
}

/** What writing rows locks, whatever the mode. */
export const rowLock = 'ROW EXCLUSIVE';
/** Of batches that go to the target itself. */
export const lockedByBatches = { lock: rowLock, when: 'in each batch, for 5 seconds or a little more' };

/** Who writes to the target, and how. */
export interface Publisher {
  /** The role that the connection was granted as; absent: the login's own. */
  readonly role?: string | undefined;
  /** How long it may wait for a lock that others queue behind. */
  readonly lockMs: number;
}

/** And what the run that publishes allows; changing that makes no other load. */
export type Publishing = Publisher & PublishLimits;

/**
 * What a transaction of publishing did: `loaded` is the phase that the load goes into, with more to come,
 * `loading` one that it goes back to; with `done` the load is done in the same transaction, with `abandoned` it is
 * given up, for the reason to be thrown.
 */
export type Published =
  | { readonly phase: 'loading' | 'loaded' | 'done' }
  | { readonly phase: 'abandoned'; readonly refused: PenstockError };

/** An attempt at a partition, as its route sees it. */
export interface Writing {
  readonly client: Client;
  readonly load: LoadRow;
  /** The target's columns that the result fills, in its order. */
  readonly columns: readonly TargetColumn[];
  readonly unwritten: readonly UnwrittenColumn[];
  readonly sameKey: SameKey;
  /** A trigger of a keyed target may swallow rows. */
  readonly verify: boolean;
  /** The role that the batches' transactions run as; the login's own when absent. */
  readonly role: string | undefined;
  readonly answerMs: number;
}

/** Of rows that did nothing. */
export const noCounts: BatchCounts = {
  inserted: 0,
  updated: 0,
  unchanged: 0,
  deduplicated: 0,
  tombstones: 0,
  deleted: 0,
};

/**
 * The way of rows within a batch's transaction. A batch may be sent in parts, each a COPY of its own: `prepare` once,
 * then for every part COPY and `apply`, with `clear` in between.
 */
export interface Route {
  /** A statement that comes before the first COPY of a batch. */
  readonly prepare?: string;
  /** The table that COPY fills, quoted. */
  readonly into: string;
  /** Applies the rows that COPY brought, all of which were accepted; what became of them. */
  apply(rows: number): Promise<BatchCounts>;
  /** The way of the batches after one of so many rows of which this became; absent: the same. */
  after?(counts: BatchCounts, rows: number): Route;
  /** A statement that makes `into` ready for another part of the same batch. */
  readonly clear?: string;
  /** The way of a batch that is sent in parts, and of those after it; absent: the same. */
  readonly inParts?: Route;
  /** The way that a batch goes which failed with this error, and those after it; null: no other. */
  otherwise(error: unknown): Route | null;
  /** Notes the keys of the batch's rows that were refused, as source text; the transaction is the login's by then. */
  noteRefused?(keys: readonly (readonly (string | null)[])[]): Promise<void>;
}
