/**
 * `COPY … FROM STDIN`, fed with the bytes of whole rows: large messages go to the socket as they are, with five bytes
 * before each and no copy in between. An error of the server may come at any moment of it. Statements may go before it in
 * the same round trip.
 */
import type { Client, Connection, Submittable } from 'pg';
import type { RowFormat } from '../../ports/source.ts';
import { protocolOf } from '../../postgres-client/connect.ts';
import { withDeadline } from '../../postgres-client/query.ts';

const copyData = 0x64;
const copyDone = Buffer.from([0x63, 0, 0, 0, 4]);
const binaryHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);
const binaryTrailer = Buffer.from([0xff, 0xff]);

/** What a statement said; values as the server prints them. */
export interface Answer {
  command: string;
  rows: Record<string, string | null>[];
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve: (value: T) => void;
  reject: (error: unknown) => void;
}

function deferred<T>(): Deferred<T> {
  const parts: Partial<Deferred<T>> = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts as Deferred<T>;
}

export class CopyIn implements Submittable {
  readonly #client: Client;
  readonly #connection: Connection;
  readonly #sql: string;
  readonly #format: RowFormat;
  readonly #answerMs: number;
  readonly #opened = deferred<void>();
  readonly #ended = deferred<number>();
  #opening: Promise<void> | null = null;
  #failure: { error: unknown } | null = null;
  #drained: (() => void) | null = null;
  #rows = NaN;
  #isOpen = false;
  #columns: readonly string[] = [];
  #found: Answer['rows'] = [];
  /** Of the statements before COPY that have come to their end, in order. */
  readonly answers: Answer[] = [];

  /** @param sql `[… ;] copy … from stdin (format …)` */
  constructor(client: Client, sql: string, format: RowFormat, answerMs: number) {
    this.#client = client;
    this.#connection = protocolOf(client);
    this.#sql = sql;
    this.#format = format;
    this.#answerMs = answerMs;
    // Whoever waits gets the error; when nobody does, it is found by the next call.
    this.#opened.promise.catch(() => {});
    this.#ended.promise.catch(() => {});
  }

  /** Sends the statement, once, and waits until the server takes rows. */
  open(): Promise<void> {
    return (this.#opening ??= this.#open());
  }

  async #open(): Promise<void> {
    this.#client.query(this);
    await withDeadline(this.#client, this.#answerMs, this.#opened.promise);
    if (this.#format === 'binary') await this.write(binaryHeader);
  }

  /** Sends bytes; resolves when the socket takes more. */
  async write(bytes: Buffer): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    const { stream } = this.#connection;
    const header = Buffer.allocUnsafe(5);
    header[0] = copyData;
    header.writeInt32BE(bytes.length + 4, 1);
    stream.cork();
    stream.write(header);
    const mayGoOn = stream.write(bytes);
    stream.uncork();
    if (mayGoOn) return;
    const drained = new Promise<void>((resolve) => {
      this.#drained = resolve;
      stream.once('drain', resolve);
    });
    await withDeadline(this.#client, this.#answerMs, drained);
    this.#drained = null;
    if (this.#failure) throw (this.#failure as { error: unknown }).error;
  }

  /** Ends the rows; the number that the server took. */
  async end(): Promise<number> {
    if (this.#format === 'binary') await this.write(binaryTrailer);
    if (this.#failure) throw this.#failure.error;
    this.#connection.stream.write(copyDone);
    return withDeadline(this.#client, this.#answerMs, this.#ended.promise);
  }

  /** Gives the rows up: the server answers with an error, which aborts the transaction. Resolves when it has. */
  async giveUp(): Promise<void> {
    if (this.#isOpen && !this.#failure) (this.#connection as CopyFailing).sendCopyFail('given up');
    await withDeadline(this.#client, this.#answerMs, this.#ended.promise).catch(() => {});
  }

  submit(connection: Connection): void {
    connection.query(this.#sql);
  }

  handleCopyInResponse(): void {
    this.#isOpen = true;
    this.#opened.resolve();
  }

  handleRowDescription(message: { fields: readonly { name: string }[] }): void {
    this.#columns = message.fields.map(({ name }) => name);
  }

  handleDataRow(message: { fields: readonly (string | null)[] }): void {
    this.#found.push(Object.fromEntries(this.#columns.map((name, i) => [name, message.fields[i]!])));
  }

  handleCommandComplete(message: { text: string }): void {
    if (this.#isOpen) this.#rows = Number(/^COPY (\d+)$/.exec(message.text)?.[1] ?? NaN);
    else this.answers.push({ command: message.text.split(' ')[0]!, rows: this.#found });
    this.#found = [];
  }

  handleReadyForQuery(): void {
    this.#ended.resolve(this.#rows);
  }

  handleError(error: unknown): void {
    this.#failure = { error };
    this.#opened.reject(error);
    this.#ended.reject(error);
    this.#drained?.();
  }
}

type CopyFailing = Connection & { sendCopyFail(reason: string): void };
