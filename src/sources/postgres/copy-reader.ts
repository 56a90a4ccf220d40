/**
 * Reads `COPY (…) TO STDOUT` past the driver's parser: its messages are one per row (about 100 bytes), and handling them
 * one by one as events would cost more than everything else together. The bytes of the rows are gathered as they come;
 * from CopyDone on, or at an error, the driver gets its connection back and finishes the protocol.
 *
 * "The backend always sends one row per CopyData message" (PostgreSQL, Message Flow, COPY Operations): the number of
 * messages is the number of rows, and must equal the number in the command tag, or the end is not proven.
 */
import type { Client, Connection, Submittable } from 'pg';
import { PenstockError } from '../../domain/errors.ts';
import type { RowFormat, RowMemory } from '../../ports/source.ts';
import { maxRowBytes } from '../../copy/row-memory.ts';
import { protocolOf } from '../../postgres-client/connect.ts';
import { canLend, gulpBytes } from '../../postgres-client/gulping-socket.ts';
import { SliceQueue } from './slice-queue.ts';

const copyData = 0x64;
const commandComplete = 0x43;
const errorResponse = 0x45;
const headerBytes = 5;
/**
 * How long a drained socket is left alone: the server sends 8 KiB at a time, and to be woken for each is work for both
 * ends.
 */
const restMs = 1;
/** Signature, no flags, no extension: all that a server ever sent. */
const binaryHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);

interface CopyReaderOptions {
  /** `copy (…) to stdout (format …)` */
  sql: string;
  format: RowFormat;
  memory: RowMemory;
  readsAhead?: boolean | undefined;
  /** Called once the statement has ended, before its end counts as proven. */
  afterCheck: () => Promise<void>;
}

export class CopyReader implements Submittable {
  readonly queue: SliceQueue;
  /** When bytes last came, for the watchdog; null while the pipe itself holds the reader up. */
  lastDataMs: number | null = null;
  readonly #options: CopyReaderOptions;
  readonly #connection: Connection;
  /** Who listened before; null when the connection is not read here. */
  #driverListener: ((chunk: Buffer) => void) | null = null;
  /** A copy of bytes that came and wait for memory, or for the rest of a message's header. */
  #pending: Buffer | null = null;
  #starving = false;
  /** The pipe has asked for no more. */
  #isHeld = false;
  /** The message in hand: what is left of it, whether it is a row, and how long that is. */
  #left = 0;
  #isRow = false;
  #rowBytes = 0;
  #sawBinaryHeader: boolean;
  #rows = 0;
  #closed = false;

  constructor(client: Client, options: CopyReaderOptions) {
    this.#options = options;
    this.#connection = protocolOf(client);
    this.#sawBinaryHeader = options.format === 'text';
    const flow = {
      pause: () => {
        this.#isHeld = true;
        this.#pause();
      },
      resume: () => {
        this.#isHeld = false;
        this.#resume();
      },
    };
    this.queue = new SliceQueue(options.memory, flow, options.readsAhead);
  }

  /** Called by the driver when the statement's turn has come. */
  submit(connection: Connection): void {
    const { stream } = connection;
    const [driverListener] = stream.listeners('data');
    this.#driverListener = driverListener as (chunk: Buffer) => void;
    stream.removeListener('data', this.#driverListener);
    stream.on('data', this.#onData);
    if (canLend(stream)) stream.lends = true;
    connection.query(this.#options.sql);
  }

  handleCommandComplete(message: { text: string }): void {
    const told = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? NaN);
    if (told !== this.#rows) {
      const text = `The source says it sent ${told} rows, ${this.#rows} came.`;
      this.queue.finish({ error: new PenstockError('END_NOT_PROVEN', text) });
    }
  }

  handleReadyForQuery(): void {
    this.#options.afterCheck().then(
      () => this.queue.finish('proven'),
      (error: unknown) => this.queue.finish({ error }),
    );
  }

  handleError(error: unknown): void {
    this.queue.finish({ error });
  }

  #pause(): void {
    this.lastDataMs = null;
    if (this.#driverListener) this.#connection.stream.pause();
  }

  #resume(): void {
    if (this.#isHeld || this.#starving || !this.#driverListener) return;
    if (this.#rows > 0) this.lastDataMs = performance.now();
    this.#connection.stream.resume();
  }

  /** The read is over: whatever comes is dropped. */
  close(): void {
    this.#closed = true;
    this.queue.dispose();
  }

  readonly #onData = (chunk: Buffer): void => {
    // A buffer that was given away must not be written to.
    if (this.#closed || this.queue.isOver) return;
    const bytes = this.#pending ? Buffer.concat([this.#pending, chunk]) : chunk;
    this.#pending = null;
    if (this.#starving) this.#pending = Buffer.from(bytes);
    else this.#tryConsume(bytes);
    if (chunk.length < gulpBytes) this.#rest();
  };

  /**
   * Lets more come before it is read. Not with TLS, where no chunk is larger than a record, however much is there.
   */
  #rest(): void {
    const { stream } = this.#connection;
    if (!this.#driverListener || !canLend(stream) || stream.isPaused()) return;
    stream.pause();
    setTimeout(() => this.#resume(), restMs);
  }

  /** An error must not escape into the socket, where nobody waits for it. */
  #tryConsume(bytes: Buffer): void {
    try {
      this.#consume(bytes);
    } catch (error) {
      this.queue.finish({ error });
    }
  }

  /**
   * Moves the payloads of the chunk's rows together, at its front, and hands them on as one stretch: nothing is
   * allocated or called for a row but the move.
   */
  #consume(chunk: Buffer): void {
    let at = 0;
    let kept = 0;
    let rows = 0;
    let left = this.#left;
    let isRow = left > 0 && this.#isRow;
    let room = this.queue.room;
    for (;;) {
      const until = Math.min(at + left, chunk.length);
      if (isRow) {
        chunk.copyWithin(kept, at, until);
        kept += until - at;
      }
      left -= until - at;
      at = until;
      if (left > 0) break;
      if (isRow) rows++;
      isRow = false;
      if (chunk.length - at < headerBytes) break;
      const code = chunk[at]!;
      const payload = int32(chunk, at + 1) - 4;
      let skipped = 0;
      if (code !== copyData || payload > room || payload <= 2 || !this.#sawBinaryHeader) {
        this.#keep(chunk.subarray(0, kept), rows, 0);
        kept = rows = 0;
        const begun = this.#beginUnusual(chunk, at, payload);
        if (begun === null) return;
        skipped = begun;
        room = this.queue.room;
      }
      at += headerBytes + skipped;
      left = payload - skipped;
      isRow = code === copyData && left > 0;
      if (isRow) {
        room -= left;
        this.#rowBytes = left;
      }
    }
    this.#isRow = isRow;
    this.#keep(chunk.subarray(0, kept), rows, left);
    if (at < chunk.length) this.#pending = Buffer.from(chunk.subarray(at));
  }

  /** Rows, of which the last may still lack some bytes of its message. */
  #keep(bytes: Buffer, rows: number, left: number): void {
    this.#left = left;
    this.#rows += rows;
    const isOpen = left > 0 && this.#isRow;
    this.queue.append(bytes, rows, isOpen ? { bytes: this.#rowBytes, missing: left } : null);
    this.lastDataMs = this.#rows > 0 && !this.#connection.stream.isPaused() ? performance.now() : null;
    this.queue.delivered();
  }

  /**
   * Any message but a row that fits: how many bytes of its payload to skip, or null when the rest of the chunk has been
   * seen to (handed back, or put aside until more bytes or memory come).
   */
  #beginUnusual(chunk: Buffer, at: number, payload: number): number | null {
    const code = chunk[at]!;
    if (payload < 0) throw new PenstockError('END_NOT_PROVEN', 'The source sent no message of the protocol.');
    if (code === commandComplete || code === errorResponse) return this.#handBack(chunk.subarray(at));
    if (code !== copyData || payload === 0) return 0;
    if (payload > maxRowBytes) {
      const text = `A row of the result has ${payload} bytes; at most ${maxRowBytes} are carried.`;
      throw new PenstockError('ROW_TOO_LARGE', text);
    }
    const skipped = this.#options.format === 'binary' ? this.#framing(chunk, at + headerBytes, payload) : 0;
    if (skipped === null) {
      this.#pending = Buffer.from(chunk.subarray(at));
      return null;
    }
    if (payload > skipped && !this.queue.makeRoom(payload - skipped)) return this.#starve(chunk.subarray(at));
    this.#sawBinaryHeader = true;
    return skipped;
  }

  /** How many of a message's first bytes are COPY binary's header and trailer; null when too few have come to tell. */
  #framing(chunk: Buffer, start: number, payload: number): number | null {
    const header = this.#sawBinaryHeader ? 0 : binaryHeader.length;
    const mayBeTrailer = payload === header + 2;
    if (chunk.length - start < Math.min(payload, header + (mayBeTrailer ? 2 : 0))) return null;
    if (!chunk.subarray(start, start + Math.min(payload, header)).equals(binaryHeader.subarray(0, header)))
      throw new PenstockError('END_NOT_PROVEN', 'The source did not send COPY binary.');
    return mayBeTrailer && chunk.readInt16BE(start + header) === -1 ? payload : header;
  }

  #starve(rest: Buffer): null {
    this.#starving = true;
    this.#pending = Buffer.from(rest);
    this.#pause();
    void this.#goOnWithMemory();
    return null;
  }

  async #goOnWithMemory(): Promise<void> {
    await this.queue.onMemory();
    if (this.#closed || this.queue.isOver) return;
    this.#starving = false;
    const bytes = this.#pending!;
    this.#pending = null;
    this.#tryConsume(bytes);
    this.#resume();
  }

  /** The rest is the driver's, which reads it at once, however busy the pipe is. */
  #handBack(rest: Buffer): null {
    const { stream } = this.#connection;
    this.lastDataMs = null;
    stream.removeListener('data', this.#onData);
    const driverListener = this.#driverListener!;
    this.#driverListener = null;
    stream.on('data', driverListener);
    if (canLend(stream)) stream.lends = false;
    driverListener(Buffer.from(rest));
    stream.resume();
    return null;
  }
}

const int32 = (bytes: Buffer, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
