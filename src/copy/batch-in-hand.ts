/** The batch that is being written: its transaction opens with its first rows, and its bytes are kept until it is committed. */
import type { PartitionWriter } from '../ports/destination.ts';
import type { RowSlice } from '../ports/source.ts';
import type { BatchCutter } from './batch-cutter.ts';

export class BatchInHand {
  readonly #writer: PartitionWriter;
  readonly #cutter: BatchCutter;
  readonly #onCommit: (counts: { rows: number; bytes: number }) => void;
  #slices: RowSlice[] = [];
  #rows = 0;
  #bytes = 0;
  #begunMs = 0;

  constructor(
    writer: PartitionWriter,
    cutter: BatchCutter,
    onCommit: (counts: { rows: number; bytes: number }) => void,
  ) {
    this.#writer = writer;
    this.#cutter = cutter;
    this.#onCommit = onCommit;
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
    await this.#orOtherwise(async () => {
      if (isFirst) await this.#writer.begin();
      await this.#writer.write(slice.bytes);
    });
  }

  /** Commits what there is; the final batch also when it has no rows. */
  async end({ final }: { final: boolean }): Promise<void> {
    this.#cutter.endBatch();
    if (this.#slices.length === 0 && !final) return;
    if (this.#slices.length === 0) await this.#writer.begin();
    const last = this.#slices.at(-1);
    const keyHi = last ? this.#cutter.lastKey(last) : (this.#writer.checkpoint?.keyHi ?? null);
    const counts = { rows: this.#rows, bytes: this.#bytes };
    const commit = () => this.#writer.commit({ ...counts, keyHi, final });
    await this.#orOtherwise(commit, commit);
    for (const slice of this.#slices) slice.release();
    this.#slices = [];
    this.#rows = this.#bytes = 0;
    this.#onCommit(counts);
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
}
