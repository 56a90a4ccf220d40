/** A batch that is sent in parts, each in a savepoint: what is refused of it leaves no trace, and the rest stays. */
import type { BatchCounts, Refusal } from '../../ports/partition-writer.ts';
import type { CopyIn } from './copy-in.ts';
import { noCounts } from './modes/mode.ts';
import { refusalOf } from './refusal.ts';

export interface PartsOptions {
  /** Opens a COPY, after these statements in the same round trip. */
  readonly openCopy: (before: string) => Promise<CopyIn>;
  /** Ends it and applies what it brought. */
  readonly apply: (copy: CopyIn, rows: number) => Promise<BatchCounts>;
  /** Makes the table that COPY fills ready for another part. */
  readonly clear: string | undefined;
}

export class BatchInParts {
  /** What became of the rows that were taken. */
  readonly counts: BatchCounts = { ...noCounts };
  readonly #options: PartsOptions;
  /** Ends the savepoint of the part before. */
  #end = '';

  constructor(options: PartsOptions) {
    this.#options = options;
  }

  /** Two round trips and what applying costs. Null when the rows were taken. */
  async write({ bytes, rows }: { bytes: readonly Buffer[]; rows: number }): Promise<Refusal | null> {
    const { openCopy, apply, clear } = this.#options;
    let copy: CopyIn | undefined;
    try {
      copy = await openCopy(`${this.#end}savepoint part; `);
      for (const piece of bytes) await copy.write(piece);
      const counts = await apply(copy, rows);
      for (const name of Object.keys(counts) as (keyof BatchCounts)[]) this.counts[name] += counts[name];
      this.#end = `release savepoint part; ${clear === undefined ? '' : `${clear}; `}`;
      return null;
    } catch (error) {
      const refusal = refusalOf(error);
      if (!refusal) throw error;
      await copy?.giveUp();
      this.#end = 'rollback to savepoint part; release savepoint part; ';
      return refusal;
    }
  }

  /** The statements that end the last part: they come before the checkpoint. */
  end(): string {
    return this.#end;
  }
}
