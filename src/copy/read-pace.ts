/**
 * The pace of one attempt: what it may pass on of its source's rows, by its share of the connection's read rate
 * (src/domain/read-rate.ts). The share comes in as time goes by, at most a second's worth is kept, and nothing is passed on
 * before it is covered. So in any stretch of time all attempts together pass on at most the limit for that long, and one
 * second more. Times are those of a clock that only rises; the caller reads it.
 */
import { shareLastsMs, type ReadRate } from '../domain/read-rate.ts';

/** Rows are passed on in parts of at most so much of a share, so that they flow rather than come in gushes. */
const partMs = 250;

/** Of a part of the rows. */
export interface Amount {
  rows: number;
  bytes: number;
}

export class ReadPace {
  #share: ReadRate | null = null;
  #lapsesAtMs = Infinity;
  #rows = new Allowance();
  #bytes = new Allowance();

  /** null: any rate. */
  get share(): ReadRate | null {
    return this.#share;
  }

  /** The share from now on, as it was asked for at `askedAtMs`. One that is not renewed in time lapses: nothing passes then. */
  renew(share: ReadRate | null, askedAtMs: number, nowMs: number): void {
    this.#gather(nowMs);
    this.#share = share;
    this.#lapsesAtMs = share ? askedAtMs + shareLastsMs : Infinity;
    this.#rows.perSecond = share?.rowsPerSecond ?? null;
    this.#bytes.perSecond = share?.bytesPerSecond ?? null;
  }

  /** The most that is to be asked for at once; a single row may have more bytes. */
  get part(): Amount {
    return { rows: Math.max(1, this.#rows.within(partMs)), bytes: this.#bytes.within(partMs) };
  }

  /** Takes that much if it is covered; otherwise takes nothing and tells after how long it will be, Infinity if never by this share. */
  take({ rows, bytes }: Amount, nowMs: number): number {
    this.#gather(nowMs);
    const waitMs = Math.max(this.#rows.waitMs(rows), this.#bytes.waitMs(bytes));
    if (nowMs + waitMs > this.#lapsesAtMs) return Infinity;
    if (waitMs > 0) return waitMs;
    this.#rows.spend(rows);
    this.#bytes.spend(bytes);
    return 0;
  }

  #gather(nowMs: number): void {
    this.#rows.gather(nowMs, this.#lapsesAtMs);
    this.#bytes.gather(nowMs, this.#lapsesAtMs);
  }
}

/** What has come in of one kind and is not spent. */
class Allowance {
  /** null: any number. */
  perSecond: number | null = null;
  #kept = 0;
  #gatheredAtMs = 0;
  /** More than a second's worth is kept for what needs more: a large row. */
  #wanted = 0;

  gather(nowMs: number, untilMs: number): void {
    const passedMs = Math.max(0, Math.min(nowMs, untilMs) - this.#gatheredAtMs);
    this.#gatheredAtMs = nowMs;
    if (this.perSecond === null) return;
    const most = Math.max(this.perSecond, this.#wanted);
    this.#kept = Math.min(most, this.#kept + (this.perSecond * passedMs) / 1_000);
  }

  within(ms: number): number {
    return this.perSecond === null ? Infinity : Math.floor((this.perSecond * ms) / 1_000);
  }

  /** Until the amount is covered. */
  waitMs(amount: number): number {
    this.#wanted = amount;
    if (this.perSecond === null || this.#kept >= amount) return 0;
    return ((amount - this.#kept) * 1_000) / this.perSecond;
  }

  spend(amount: number): void {
    this.#wanted = 0;
    this.#kept = this.perSecond === null ? 0 : this.#kept - amount;
  }
}
