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
import { SliceQueue } from './slice-queue.ts';

const copyData = 0x64;
const copyDone = 0x63;
const commandComplete = 0x43;
const errorResponse = 0x45;
const headerBytes = 5;
const signature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1');
/** Signature, flags, length of the extension. */
const binaryHeaderBytes = signature.length + 8;

interface CopyReaderOptions {
  /** `copy (…) to stdout (format …)` */
  sql: string;
  format: RowFormat;
  memory: RowMemory;
  /** Called once the statement has ended, before its end counts as proven. */
  afterCheck: () => Promise<void>;
}

export class CopyReader implements Submittable {
  readonly queue: SliceQueue;
  /** When bytes last came, for the watchdog; null while the pipe itself holds the reader up. */
  lastDataMs: number | null = null;
  readonly #options: CopyReaderOptions;
  readonly #connection: Connection;
  #driverListener: ((chunk: Buffer) => void) | null = null;
  /** Bytes that came and wait for memory, or for the rest of a message's header. */
  #pending: Buffer | null = null;
  #starving = false;
  /** The message in hand: what is left of it, and whether it is a row. */
  #left = 0;
  #isRow = false;
  #sawBinaryHeader: boolean;
  #rows = 0;
  #closed = false;

  constructor(client: Client, options: CopyReaderOptions) {
    this.#options = options;
    this.#connection = protocolOf(client);
    this.#sawBinaryHeader = options.format === 'text';
    this.queue = new SliceQueue(options.memory, {
      pause: () => this.#pause(),
      resume: () => {
        if (!this.#starving) this.#resume();
      },
    });
  }

  /** Called by the driver when the statement's turn has come. */
  submit(connection: Connection): void {
    const { stream } = connection;
    const [driverListener] = stream.listeners('data');
    this.#driverListener = driverListener as (chunk: Buffer) => void;
    stream.removeListener('data', this.#driverListener);
    stream.on('data', this.#onData);
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
    this.#connection.stream.pause();
  }

  #resume(): void {
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
    if (this.#starving) this.#pending = bytes;
    else this.#tryConsume(bytes);
  };

  /** An error must not escape into the socket, where nobody waits for it. */
  #tryConsume(bytes: Buffer): void {
    try {
      this.#consume(bytes);
    } catch (error) {
      this.queue.finish({ error });
    }
  }

  #consume(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#left > 0) {
        at = this.#takePayload(chunk, at);
        continue;
      }
      if (chunk.length - at < headerBytes) {
        this.#pending = chunk.subarray(at);
        break;
      }
      const code = chunk[at]!;
      if (code === commandComplete || code === errorResponse) return this.#handBack(chunk.subarray(at));
      const payload = chunk.readInt32BE(at + 1) - 4;
      if (!this.#beginMessage(code, payload)) return this.#starve(chunk.subarray(at));
      at += headerBytes;
    }
    this.lastDataMs = this.#rows > 0 && !this.#connection.stream.isPaused() ? performance.now() : null;
    this.queue.delivered();
  }

  /** False when there is no memory for the row. */
  #beginMessage(code: number, payload: number): boolean {
    this.#isRow = code === copyData && payload > 0;
    if (this.#isRow) {
      if (payload > maxRowBytes) return this.#refuseRow(payload);
      if (!this.queue.openRow(payload)) return false;
    } else if (code === copyDone) this.queue.delivered();
    this.#left = payload;
    return true;
  }

  /** Reads on without keeping the row: the error is what the pipe gets. */
  #refuseRow(payload: number): true {
    const text = `A row of the result has ${payload} bytes; at most ${maxRowBytes} are carried.`;
    this.queue.finish({ error: new PenstockError('ROW_TOO_LARGE', text) });
    this.#isRow = false;
    this.#left = payload;
    return true;
  }

  #takePayload(chunk: Buffer, from: number): number {
    const until = Math.min(from + this.#left, chunk.length);
    if (this.#isRow) this.queue.write(chunk, from, until);
    this.#left -= until - from;
    if (this.#left === 0 && this.#isRow) this.#endRow();
    return until;
  }

  #endRow(): void {
    const row = this.queue.rowInHand();
    const skipped = this.#sawBinaryHeader ? 0 : binaryHeaderLength(row);
    this.#sawBinaryHeader = true;
    const bytes = row.length - skipped;
    const isTrailer = this.#options.format === 'binary' && bytes === 2 && row.readInt16BE(skipped) === -1;
    this.queue.closeRow(isTrailer ? row.length : skipped);
    if (bytes > 0 && !isTrailer) this.#rows++;
  }

  #starve(rest: Buffer): void {
    this.#starving = true;
    this.#pending = rest;
    this.#pause();
    void this.#goOnWithMemory();
  }

  async #goOnWithMemory(): Promise<void> {
    await this.queue.onMemory();
    if (this.#closed || this.queue.isOver) return;
    this.#starving = false;
    const bytes = this.#pending!;
    this.#pending = null;
    this.#tryConsume(bytes);
    if (!this.#starving) this.#resume();
  }

  /** The rest is the driver's. */
  #handBack(rest: Buffer): void {
    const { stream } = this.#connection;
    this.lastDataMs = null;
    stream.removeListener('data', this.#onData);
    stream.on('data', this.#driverListener!);
    this.#driverListener!(rest);
  }
}

/** The length of what stands before the first row in its message. */
function binaryHeaderLength(message: Buffer): number {
  const extension = message.length >= binaryHeaderBytes ? message.readInt32BE(binaryHeaderBytes - 4) : -1;
  const length = binaryHeaderBytes + extension;
  if (extension < 0 || length > message.length || !message.subarray(0, signature.length).equals(signature))
    throw new PenstockError('END_NOT_PROVEN', 'The source did not send COPY binary.');
  return length;
}
