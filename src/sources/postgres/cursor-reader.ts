/**
 * Reads through a portal with pg-query-stream, for servers where COPY is not available or not wanted. Values arrive as
 * the server prints them (no parser touches them, rows are arrays so that equal names do not collapse) and become COPY
 * text. A stream whose connection dies neither ends nor throws: the owner of the queue listens to the client for that.
 */
import type { Client } from 'pg';
import QueryStream from 'pg-query-stream';
import { encodeRow } from '../../copy/encode-rows.ts';
import { maxRowBytes } from '../../copy/row-memory.ts';
import { PenstockError } from '../../domain/errors.ts';
import type { RowMemory } from '../../ports/source.ts';
import { answerTaken } from '../../postgres-client/connect.ts';
import { SliceQueue } from './slice-queue.ts';

/** Rows asked for at a time: few enough that wide rows do not pile up, since a portal cannot be bounded in bytes. */
const fetchRows = 200;
/** What they may hold together. */
export const maxFetchBytes = 256 * 1024 * 1024;

/** Values as the server's text, whatever their type. */
const asPrinted = { getTypeParser: () => (value: string | Buffer) => value };

interface CursorReaderOptions {
  sql: string;
  memory: RowMemory;
  afterCheck: () => Promise<void>;
}

export class CursorReader {
  readonly queue: SliceQueue;
  lastDataMs: number | null = null;
  readonly #stream: QueryStream;
  readonly #options: CursorReaderOptions;
  readonly #client: Client;
  #closed = false;
  #rows = 0;
  #resumed: (() => void) | null = null;

  constructor(client: Client, options: CursorReaderOptions) {
    this.#client = client;
    this.#options = options;
    this.queue = new SliceQueue(options.memory, {
      pause: () => {},
      resume: () => this.#resumed?.(),
    });
    const config = { rowMode: 'array', types: asPrinted, batchSize: fetchRows };
    this.#stream = new QueryStream(options.sql, [], config as ConstructorParameters<typeof QueryStream>[2]);
    client.query(this.#stream);
    void this.#pump();
  }

  close(): void {
    this.#closed = true;
    this.#stream.on('error', () => {});
    this.queue.dispose();
  }

  /** Rows from the stream to the queue until the end is proven. */
  async #pump(): Promise<void> {
    try {
      for await (const row of this.#stream as AsyncIterable<(string | null)[]>) {
        if (this.#closed) return;
        answerTaken(this.#client);
        await this.#add(encodeRow(row));
      }
      this.#proveEnd();
      await this.#options.afterCheck();
      this.queue.finish('proven');
    } catch (error) {
      this.queue.finish({ error });
    }
  }

  async #add(row: string): Promise<void> {
    const bytes = Buffer.byteLength(row);
    if (bytes > maxRowBytes) {
      const text = `A row of the result has ${bytes} bytes; at most ${maxRowBytes} are carried.`;
      throw new PenstockError('ROW_TOO_LARGE', text);
    }
    while (!this.queue.makeRoom(bytes)) {
      this.lastDataMs = null;
      await this.queue.onMemory();
      if (this.#closed) return;
    }
    this.queue.appendText(row);
    this.#rows++;
    this.queue.delivered();
    if (this.queue.isFull) {
      this.lastDataMs = null;
      await new Promise<void>((resolve) => (this.#resumed = resolve));
      this.#resumed = null;
    }
    this.lastDataMs = performance.now();
  }

  /** The server said that the portal is exhausted, and its count of the last fetch fits the rows that came. */
  #proveEnd(): void {
    const { _result: result } = this.#stream.cursor as unknown as {
      _result: { command: string | null; rowCount: number | null };
    };
    const told = result.rowCount;
    if (result.command !== 'SELECT' || told === null || this.#rows % fetchRows !== told % fetchRows) {
      const text = `The source's cursor ended without its end (${this.#rows} rows came).`;
      throw new PenstockError('END_NOT_PROVEN', text);
    }
  }
}
