/**
 * Reads through a portal with pg-query-stream, for servers where COPY is not available or not wanted. Values arrive as
 * the server prints them (no parser touches them, rows are arrays so that equal names do not collapse) and become COPY
 * text. Rows are taken as they come, not when a fetch is over, and the socket is paused while the pipe is busy: so it does not
 * matter how wide they are. Of a connection that dies the owner of the queue hears from the client.
 */
import type { Client } from 'pg';
import QueryStream from 'pg-query-stream';
import { encodeRow } from '../../copy/encode-rows.ts';
import { maxRowBytes } from '../../copy/row-memory.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { RowMemory } from '../../ports/source.ts';
import { answerTaken, protocolOf } from '../../postgres-client/connect.ts';
import { SliceQueue } from './slice-queue.ts';

/** Rows asked for at a time: each time costs a round trip. */
const fetchRows = 1_000;
/** A row as large as any, while the next is seen to come. */
export const maxCursorBytes = 128 * 1024 * 1024;

/** Values as the server's text, whatever their type. */
const asPrinted = { getTypeParser: () => (value: string | Buffer) => value };

interface CursorReaderOptions {
  sql: string;
  memory: RowMemory;
  readsAhead?: boolean | undefined;
  afterCheck: () => Promise<void>;
}

/** What is used of pg-cursor. */
interface Portal {
  on(event: 'row', listener: (row: (string | null)[]) => void): void;
  /** Settles when so many rows were told, or fewer and the end. */
  read(rows: number): Promise<unknown>;
  _result: { command: string | null; rowCount: number | null };
}

export class CursorReader {
  readonly queue: SliceQueue;
  lastDataMs: number | null = null;
  readonly #portal: Portal;
  readonly #options: CursorReaderOptions;
  readonly #client: Client;
  /** Rows that came and wait for memory: what was in the socket's last chunk. */
  #waiting: string[] = [];
  #starving = false;
  /** The pipe has asked for no more. */
  #isHeld = false;
  #hasAll = false;
  #closed = false;
  #rows = 0;
  /** Rows that may have come by the end of the fetch in hand. */
  #asked = 0;

  constructor(client: Client, options: CursorReaderOptions) {
    this.#client = client;
    this.#options = options;
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
    const config = { rowMode: 'array', types: asPrinted } as const;
    const stream = new QueryStream(options.sql, [], config);
    this.#portal = stream.cursor as Portal;
    this.#portal.on('row', (row) => this.#take(row));
    client.query(stream);
    void this.#pump();
  }

  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.queue.dispose();
  }

  /** Asks for rows until the end is proven. */
  async #pump(): Promise<void> {
    try {
      for (let before = -fetchRows; this.#rows - before === fetchRows && !this.#closed;) {
        before = this.#rows;
        this.#asked = before + fetchRows;
        await this.#portal.read(fetchRows);
      }
      while (this.#waiting.length > 0) await this.queue.onMemory();
      if (this.#closed) return;
      this.#proveEnd();
      // What is asked now is answered at once, however busy the pipe is.
      this.#hasAll = true;
      protocolOf(this.#client).stream.resume();
      await this.#options.afterCheck();
      this.queue.finish('proven');
    } catch (error) {
      this.queue.finish({ error });
    }
  }

  /** Called while the driver reads: nobody there waits for an error. */
  #take(row: (string | null)[]): void {
    answerTaken(this.#client);
    const text = encodeRow(row);
    // The driver keeps its rows until all that were asked for have come.
    row.length = 0;
    this.#rows++;
    if (this.#rows > this.#asked) {
      // The driver would keep what is left of each until the fetch ends, which it need not.
      protocolOf(this.#client).stream.destroy();
      const text = `The source sends more rows than it was asked for (${fetchRows} at a time).`;
      if (!this.queue.isOver) this.queue.finish({ error: new PenstockError('END_NOT_PROVEN', text) });
    }
    if (this.#closed || this.queue.isOver) return;
    this.#waiting.push(text);
    if (!this.#starving) this.#passOn();
  }

  #passOn(): void {
    for (let row = this.#waiting[0]; row !== undefined; row = this.#waiting[0]) {
      const bytes = Buffer.byteLength(row);
      if (bytes > maxRowBytes) {
        const text = `A row of the result has ${bytes} bytes; at most ${maxRowBytes} are carried.`;
        this.queue.finish({ error: new PenstockError('ROW_TOO_LARGE', text) });
        return;
      }
      if (!this.queue.makeRoom(bytes)) {
        void this.#starve();
        return;
      }
      this.queue.appendText(row);
      this.#waiting.shift();
    }
    this.lastDataMs = this.#isHeld ? null : performance.now();
    this.queue.delivered();
  }

  async #starve(): Promise<void> {
    this.#starving = true;
    this.#pause();
    await this.queue.onMemory();
    this.#starving = false;
    if (!this.#closed) this.#passOn();
    this.#resume();
  }

  #pause(): void {
    this.lastDataMs = null;
    if (!this.#hasAll) protocolOf(this.#client).stream.pause();
  }

  #resume(): void {
    if (this.#isHeld || this.#starving || this.#hasAll) return;
    this.lastDataMs = performance.now();
    protocolOf(this.#client).stream.resume();
  }

  /** The server said that the portal is exhausted, and its count of the last fetch fits the rows that came. */
  #proveEnd(): void {
    const { command, rowCount: told } = this.#portal._result;
    if (command !== 'SELECT' || told === null || this.#rows % fetchRows !== told % fetchRows) {
      const text = `The source's cursor ended without its end (${this.#rows} rows came).`;
      throw new PenstockError('END_NOT_PROVEN', text);
    }
  }
}
