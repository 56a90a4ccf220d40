/** One attempt at a partition, as the pipe sees it: its lease, and the batches that it commits one after the other. */
import type { LoadId, RunId } from '../domain/ids.ts';
import type { Receipt } from '../domain/run-states.ts';
import type { KeyText, PartitionBounds } from './source.ts';

/** The newest committed batch of a partition. */
export interface Checkpoint {
  batch: number;
  /** Key of the last row, as source text; null when nothing was read. */
  keyHi: KeyText | null;
  /** The end of the partition was proven. */
  final: boolean;
}

/** What one batch did, in rows; `deduplicated` are rows whose key came again in the batch. */
export type BatchCounts = Omit<Receipt, 'read' | 'batches' | 'bytes' | 'rejected'>;

/** Why the target refused rows. */
export interface Refusal {
  /** Of class 22 (a value that it cannot hold) or 23 (a constraint). */
  sqlstate: string;
  column: string | null;
  constraint: string | null;
  /** The server's words. They may quote values: kept in the destination, and nowhere else. */
  cause: string;
  /** The row that it stumbled over, from 0, of those sent together; null when it did not say. */
  row: number | null;
}

/** Rows of one key that the target refuses. */
export interface Reject extends Omit<Refusal, 'row'> {
  /** As source text; null where rows come in no order. */
  key: readonly (string | null)[] | null;
  rows: number;
  /** Of the first of them, for people to look at. */
  values: readonly (string | null)[];
}

/** What a partition's checkpoints add up to. */
export interface PartitionTotals {
  rows: number;
  batches: number;
  bytes: number;
}

export interface LeaseRequest {
  run: RunId;
  load: LoadId;
  partition: number;
  /** Decimal text, since it exceeds 2^53; rises with every attempt of a run. */
  epoch: string;
  /** How many rows the load may reject, all partitions together. Default: none. */
  maxRejects?: number | undefined;
}

/** What is recorded with the last byte of a batch. */
export interface BatchEnd {
  /** Of the last row; the previous batch's when this one has no rows. */
  keyHi: KeyText | null;
  rows: number;
  bytes: number;
  final: boolean;
  /** More rows are at hand: the next batch may begin in the same round trip. */
  goesOn?: boolean;
  /** Of its rows, those that were refused. */
  rejects?: readonly Reject[];
}

/**
 * One attempt's right to write one partition, with the connection it writes on. Calls come one at a time. FENCED and
 * RUN_FINAL end the attempt. After any other error the writer is only good for `close`: the next attempt, with a higher
 * epoch, finds out from the checkpoints what was committed.
 */
export interface PartitionWriter {
  /** Which rows the partition holds. */
  readonly bounds: PartitionBounds;
  /** The newest checkpoint: where to read on from. */
  readonly checkpoint: Checkpoint | null;
  readonly totals: PartitionTotals;
  /**
   * Whether a batch that failed with this error is worth sending again at once, another way: an upsert's rows that went
   * straight into the target and met a key that is there. Decided once per error; the next `begin` takes the other way.
   */
  retriesOtherwise(error: unknown): boolean;
  /** Why the error at hand refuses rows of the batch; null when it is about something else. */
  refusalOf(error: unknown): Refusal | null;
  /** How many rows may still be rejected, as far as this attempt knows. */
  readonly rejectsLeft: number;
  /** Opens the next batch's transaction: lease checked, COPY open. */
  begin(): Promise<void>;
  /** The same without COPY, for a batch that is sent in parts. */
  beginParts(): Promise<void>;
  /** Sends some rows of the batch: taken (null), or nothing of them is left, and why. */
  writePart(part: { bytes: readonly Buffer[]; rows: number }): Promise<Refusal | null>;
  /** Sends whole rows; resolves when more may be sent. The bytes must not change until the batch is known committed. */
  write(bytes: Buffer): Promise<void>;
  /**
   * Ends COPY, applies, records the checkpoint and the rejects, and commits. COMMIT_UNKNOWN when the answer was lost;
   * VALUE_REFUSED, with nothing committed but a note of the rejects, when they are more than the load may have.
   */
  commit(end: BatchEnd): Promise<BatchCounts>;
  /** Gives the batch up because of these rejects, which are noted for people to see. Throws VALUE_REFUSED. */
  stopFor(rejects: readonly Reject[]): Promise<never>;
  /** Gives the open batch up, so that it can be begun again. */
  rollback(): Promise<void>;
  /** Ends whatever is open, and the connection. Never throws. */
  close(): Promise<void>;
}
