/**
 * The batch that is being written: its transaction opens with its first rows, and its bytes are kept until it is committed.
 * When the destination refuses some of its rows, the rest of the batch is only gathered; at its end all of it is sent
 * again, in parts, until the rows that are refused are known.
 */
import type { PartitionWriter, Refusal, Reject } from '../ports/partition-writer.ts';
import type { RowSlice } from '../ports/source.ts';
import type { BatchCutter } from './batch-cutter.ts';
import { rowUnits, type RowsOfBatch } from './row-units.ts';
import { separateRefused } from './separate-refused.ts';

export interface BatchParts {
  writer: PartitionWriter;
  cutter: BatchCutter;
  /** What the rows are, for the case that some of them are refused. */
  rows: Omit<RowsOfBatch, 'slices'>;
  /** Looking for rows that are refused takes a while: it ends when this is aborted. */
  signal: AbortSignal;
  onCommit: (counts: { rows: number; bytes: number }) => void;
}

export class BatchInHand {
  readonly #parts: BatchParts;
  readonly #writer: PartitionWriter;
  #slices: RowSlice[] = [];
  #rows = 0;
  #bytes = 0;
  #begunMs = 0;
  #refusal: Refusal | null = null;

  constructor(parts: BatchParts) {
    this.#parts = parts;
    this.#writer = parts.writer;
  }

  /** How long its transaction has been open; 0 when none is. */
  get ageMs(): number {
    return this.#slices.length === 0 ? 0 : performance.now() - this.#begunMs;
  }

  /** Sends rows of the batch. */
  async add(slice: RowSlice): Promise<void> {
    const isFirst = this.#slices.length === 0;
    this.#slices.push(slice);
    this.#rows += slice.rows;
    this.#bytes += slice.bytes.length;
    if (isFirst) this.#begunMs = performance.now();
    await this.#unlessRefused(async () => {
      if (isFirst) await this.#writer.begin();
      await this.#writer.write(slice.bytes);
    });
  }

  /** Commits what there is; the final batch also when it has no rows. `goesOn`: rows are added next. */
  async end({ final, goesOn = false }: { final: boolean; goesOn?: boolean }): Promise<void> {
    const { cutter, onCommit } = this.#parts;
    cutter.endBatch();
    const isEmpty = this.#slices.length === 0;
    if (isEmpty && !final) return;
    const last = this.#slices.at(-1);
    const keyHi = last ? cutter.lastKey(last) : (this.#writer.checkpoint?.keyHi ?? null);
    const counts = { rows: this.#rows, bytes: this.#bytes };
    const commit = () => this.#writer.commit({ ...counts, keyHi, final, ...(goesOn && { goesOn }) });
    await this.#unlessRefused(async () => {
      if (isEmpty) await this.#writer.begin();
      await commit();
    }, commit);
    if (this.#refusal) {
      const rejects = await this.#separate(this.#refusal);
      await this.#writer.commit({ ...counts, keyHi, final, rejects });
    }
    for (const slice of this.#slices) slice.release();
    this.#slices = [];
    this.#rows = this.#bytes = 0;
    this.#refusal = null;
    onCommit(counts);
  }

  /** Nothing, once rows of the batch were refused. */
  async #unlessRefused(work: () => Promise<unknown>, after?: () => Promise<unknown>): Promise<void> {
    if (this.#refusal) return;
    try {
      await this.#orOtherwise(work, after);
    } catch (error) {
      this.#refusal = this.#writer.refusalOf(error);
      if (!this.#refusal) throw error;
      await this.#writer.rollback();
    }
  }

  /** When the writer knows another way for the error at hand: the whole batch again, that way, and then `after`. */
  async #orOtherwise(work: () => Promise<unknown>, after?: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!this.#writer.retriesOtherwise(error)) throw error;
      await this.#writer.rollback();
      await this.#writer.begin();
      for (const slice of this.#slices) await this.#writer.write(slice.bytes);
      await after?.();
    }
  }

  /** Sends the batch in parts; what is refused of it, in its order. VALUE_REFUSED when that is too much. */
  async #separate(refusal: Refusal): Promise<Reject[]> {
    const { rows, signal } = this.#parts;
    const units = rowUnits({ ...rows, slices: this.#slices.map((slice) => slice.bytes) });
    const rejects: Reject[] = [];
    let rejected = 0;
    const named = (from: number, found: Refusal) => ({
      ...found,
      unit: found.row === null ? null : units.unitOf(from, found.row),
    });
    await this.#writer.beginParts();
    await separateRefused({
      units: units.count,
      refused: named(0, refusal),
      attempt: async (from, to) => {
        signal.throwIfAborted();
        const part = { bytes: units.bytesOf(from, to), rows: units.rowsOf(from, to) };
        const again = await this.#writer.writePart(part);
        return again && named(from, again);
      },
      reject: async (unit, { sqlstate, column, constraint, cause }) => {
        const reject = { sqlstate, column, constraint, cause, rows: units.rowsOf(unit, unit + 1) };
        rejects.push({ ...reject, ...units.show(unit) });
        rejected += reject.rows;
        if (rejected > this.#writer.rejectsLeft) await this.#writer.stopFor(rejects);
      },
    });
    return rejects;
  }
}
