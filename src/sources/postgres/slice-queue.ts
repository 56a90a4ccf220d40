/**
 * Between a connection that pushes rows and a pipe that pulls slices. Rows are gathered in buffers of the shared
 * memory; a full buffer is a slice, and so is what has gathered when the pipe waits and nothing more comes for a moment.
 * When too much waits to be pulled, or memory is spent, the connection is paused.
 */
import type { RowMemory, RowSlice } from '../../ports/source.ts';

/** Read ahead while the pipe is busy: half a batch of the usual size. */
const aheadBytes = 8 * 1024 * 1024;
/** How long rows may gather while the pipe waits. */
const lingerMs = 100;

export interface Flow {
  pause(): void;
  resume(): void;
}

const nothingYet = (): RowSlice => ({ bytes: Buffer.alloc(0), rows: 0, release: () => {} });

interface Waiter {
  resolve(slice: RowSlice | null): void;
  reject(error: unknown): void;
}

export class SliceQueue {
  readonly #memory: RowMemory;
  readonly #flow: Flow;
  /** More is not read before the pipe has taken half of it. */
  readonly #maxQueuedBytes: number;
  readonly #taken = new Set<Buffer>();
  readonly #ready: RowSlice[] = [];
  #queuedBytes = 0;
  #buffer: Buffer | null = null;
  #filled = 0;
  #rows = 0;
  #end: { error: unknown } | 'proven' | null = null;
  #waiter: Waiter | null = null;
  #linger: NodeJS.Timeout | undefined;
  #paused = false;
  /** The row that is being written, behind the whole ones: its length, and how much of it is there. */
  #openBytes = 0;
  #openFilled = 0;
  /** Memory is spent and the pipe has not been told. */
  #starved = false;

  constructor(memory: RowMemory, flow: Flow, readsAhead = true) {
    this.#memory = memory;
    this.#flow = flow;
    this.#maxQueuedBytes = readsAhead ? aheadBytes : 0;
  }

  /** What fits behind the rows that are there, an open one counted whole. */
  get room(): number {
    return this.#buffer ? this.#buffer.length - this.#filled - this.#openBytes : 0;
  }

  /** Makes room for a row of so many bytes; false when memory is spent (then `onMemory` tells when to ask again). */
  makeRoom(bytes: number): boolean {
    if (this.#buffer && this.room < bytes) this.#emit();
    this.#buffer ??= this.#take(bytes);
    if (this.#buffer) return true;
    this.#starved = true;
    this.#wake();
    return false;
  }

  /**
   * Bytes for which room was made: the rest of an open row, whole rows, and the beginning of one.
   *
   * @param rows how many are whole now that were not
   * @param open the row at the end that is not: its length, and how much of it has not come
   */
  append(bytes: Buffer, rows: number, open: { bytes: number; missing: number } | null): void {
    const end = this.#filled + this.#openFilled;
    if (bytes.length > 0) bytes.copy(this.#buffer!, end);
    this.#openBytes = open?.bytes ?? 0;
    this.#openFilled = open ? open.bytes - open.missing : 0;
    this.#filled = end + bytes.length - this.#openFilled;
    this.#rows += rows;
  }

  /** A row of text for which room was made. */
  appendText(row: string): void {
    this.#filled += this.#buffer!.write(row, this.#filled);
    this.#rows++;
  }

  /** Nothing more is taken. */
  get isOver(): boolean {
    return this.#end !== null;
  }

  /** Enough waits to be pulled; `resume` of the flow tells when to go on. */
  get isFull(): boolean {
    return this.#paused;
  }

  /** Resolves when memory was given back. */
  onMemory(): Promise<void> {
    return this.#memory.freed();
  }

  /** The connection has delivered a stretch of rows. */
  delivered(): void {
    if (this.#waiter && this.#rows > 0) this.#linger ??= setTimeout(() => this.#emit(), lingerMs);
  }

  /** No more rows: proven, or because of an error, which the pipe gets after the rows that came. */
  finish(end: 'proven' | { error: unknown }): void {
    if (this.#end) return;
    this.#end = end;
    this.#emit();
    this.#wake();
  }

  next(): Promise<RowSlice | null> {
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
      if (this.#ready.length === 0) this.delivered();
      this.#wake();
    });
  }

  /** Gives all memory back, whoever held it. */
  dispose(): void {
    clearTimeout(this.#linger);
    this.#buffer = null;
    this.#ready.length = 0;
    for (const buffer of this.#taken) this.#memory.give(buffer);
    this.#taken.clear();
  }

  /** Turns the whole rows that have gathered into a slice; a row that has come in part moves to a buffer of its own. */
  #emit(): void {
    clearTimeout(this.#linger);
    this.#linger = undefined;
    const buffer = this.#buffer;
    if (!buffer || this.#rows === 0) return;
    const next = this.#openBytes > 0 && !this.#end ? this.#take(this.#openBytes) : null;
    if (this.#openBytes > 0 && !this.#end && !next) return;
    if (next) buffer.copy(next, 0, this.#filled, this.#filled + this.#openFilled);
    const slice = {
      bytes: buffer.subarray(0, this.#filled),
      rows: this.#rows,
      release: () => this.#release(buffer),
    };
    this.#buffer = next;
    this.#filled = this.#rows = 0;
    this.#ready.push(slice);
    this.#queuedBytes += slice.bytes.length;
    if (this.#queuedBytes > this.#maxQueuedBytes && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
    this.#wake();
  }

  #take(bytes: number): Buffer | null {
    const buffer = this.#memory.take(bytes);
    if (buffer) this.#taken.add(buffer);
    return buffer;
  }

  #release(buffer: Buffer): void {
    if (this.#taken.delete(buffer)) this.#memory.give(buffer);
  }

  /** Serves the pipe if it waits and there is something to say. */
  #wake(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    const slice = this.#ready.shift();
    if (slice) {
      this.#queuedBytes -= slice.bytes.length;
      if (this.#paused && this.#queuedBytes <= this.#maxQueuedBytes / 2) {
        this.#paused = false;
        this.#flow.resume();
      }
    }
    const end = this.#end;
    if (!slice && !end && !this.#starved) return;
    this.#waiter = null;
    this.#starved &&= slice !== undefined;
    if (slice) waiter.resolve(slice);
    else if (!end) waiter.resolve(nothingYet());
    else if (end === 'proven') waiter.resolve(null);
    else waiter.reject(end.error);
  }
}
