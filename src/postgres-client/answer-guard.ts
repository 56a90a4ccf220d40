/**
 * Looks at what a server sends before the driver reads it. The server is a tenant's and may send anything, while the driver
 * trusts it: it keeps a message until it is whole and an answer until it is over, however large they are, throws where the
 * process has nobody who catches, and reads an error without an end for ever.
 */

const errorResponse = 0x45;
const noticeResponse = 0x4e;
const readyForQuery = 0x5a;
const rowDescription = 0x54;
const dataRow = 0x44;
const headerBytes = 5;

/** The largest message: an error may quote a whole row. */
const maxMessageBytes = 64 * 1024 * 1024;
/** What one answer may hold; rows of a COPY are read past the driver, and are none of it. */
const defaultAnswerBytes = 64 * 1024 * 1024;
/** What the driver makes of the smallest message. */
const objectBytes = 100;
/** What it makes of a column of a row, of which no more than four bytes may have come. */
const columnBytes = 32;

export class AnswerGuard {
  readonly #maxAnswerBytes: number;
  #answerBytes = 0;
  /** Of the message in hand: what has come of its header, what is left of its body, and how far its fields were read. */
  #header = Buffer.alloc(headerBytes);
  #headerFilled = 0;
  #left = 0;
  #fields: 'none' | 'between' | 'inside' | 'over' = 'none';
  /** How many bytes of the number of columns are to come, with which it begins. */
  #countLeft = 0;

  constructor(maxAnswerBytes: number = defaultAnswerBytes) {
    this.#maxAnswerBytes = maxAnswerBytes;
  }

  /** What has come so far was taken out of the driver's hands. */
  taken(): void {
    this.#answerBytes = 0;
  }

  /** Gives the driver what it may see. Throws EBADMSG, EMSGSIZE. */
  pass(chunk: Buffer, driver: (chunk: Buffer) => void): void {
    this.#check(chunk);
    try {
      driver(chunk);
    } catch (cause) {
      throw malformed(cause);
    }
  }

  #check(chunk: Buffer): void {
    for (let at = 0; at < chunk.length;)
      at = this.#headerFilled < headerBytes ? this.#readHeader(chunk, at) : this.#readBody(chunk, at);
  }

  #readHeader(chunk: Buffer, at: number): number {
    const until = Math.min(at + headerBytes - this.#headerFilled, chunk.length);
    chunk.copy(this.#header, this.#headerFilled, at, until);
    this.#headerFilled += until - at;
    if (this.#headerFilled === headerBytes) this.#begin();
    return until;
  }

  #begin(): void {
    const [code] = this.#header;
    this.#left = this.#header.readUInt32BE(1) - 4;
    this.#answerBytes += this.#left + objectBytes;
    this.#fields = code === errorResponse || code === noticeResponse ? 'between' : 'none';
    this.#countLeft = code === rowDescription || code === dataRow ? 2 : 0;
    if (this.#left < 0) throw malformed();
    this.#measure();
    if (code === readyForQuery) this.taken();
    if (this.#left === 0) this.#end();
  }

  #readBody(chunk: Buffer, at: number): number {
    const until = Math.min(at + this.#left, chunk.length);
    if (this.#countLeft > 0) this.#readCount(chunk.subarray(at, until));
    if (this.#fields !== 'none') this.#readFields(chunk.subarray(at, until));
    this.#left -= until - at;
    if (this.#left === 0) this.#end();
    return until;
  }

  #measure(): void {
    if (this.#left > maxMessageBytes || this.#answerBytes > this.#maxAnswerBytes) throw tooLarge();
  }

  #readCount(bytes: Buffer): void {
    for (const byte of bytes.subarray(0, this.#countLeft)) {
      if (this.#countLeft === 2 && byte > 127) throw malformed();
      this.#countLeft--;
      this.#answerBytes += byte * 256 ** this.#countLeft * columnBytes;
    }
    this.#measure();
  }

  /** A letter and a text that ends with a zero, again and again; a zero ends them. */
  #readFields(bytes: Buffer): void {
    for (const byte of bytes) {
      if (this.#fields === 'over') throw malformed();
      if (this.#fields === 'between') this.#fields = byte === 0 ? 'over' : 'inside';
      else if (byte === 0) this.#fields = 'between';
    }
  }

  #end(): void {
    this.#headerFilled = 0;
    if (this.#fields === 'between' || this.#fields === 'inside') throw malformed();
  }
}

const malformed = (cause?: unknown): Error =>
  Object.assign(new Error('no message of the protocol', { cause }), { code: 'EBADMSG' });
const tooLarge = (): Error => Object.assign(new Error('an answer without measure'), { code: 'EMSGSIZE' });
