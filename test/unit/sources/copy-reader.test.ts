/** COPY's messages, in chunks of any size: the rows come out whole, and their number must be the server's. */
import { EventEmitter } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import type { Client, Connection } from 'pg';
import { createRowMemory, maxRowBytes } from '../../../src/copy/row-memory.ts';
import type { RowFormat } from '../../../src/ports/source.ts';
import { CopyReader } from '../../../src/sources/postgres/copy-reader.ts';

const message = (code: string, payload: Buffer): Buffer => {
  const header = Buffer.alloc(5);
  header.write(code);
  header.writeInt32BE(payload.length + 4, 1);
  return Buffer.concat([header, payload]);
};

const binaryHeader = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)]);

/** What a server sends for these rows, up to the end of COPY. */
function copyOut(format: RowFormat, rows: readonly Buffer[]): Buffer {
  const messages = rows.map((row) => message('d', row));
  if (format === 'binary') {
    const trailer = Buffer.from([0xff, 0xff]);
    if (rows.length === 0) messages.push(message('d', Buffer.concat([binaryHeader, trailer])));
    else {
      messages[0] = message('d', Buffer.concat([binaryHeader, rows[0]!]));
      messages.push(message('d', trailer));
    }
  }
  const notice = message('N', Buffer.from('SNOTICE\0Mhello\0\0'));
  return Buffer.concat([
    message('H', Buffer.from([0, 0, 0])),
    notice,
    ...messages,
    message('c', Buffer.alloc(0)),
  ]);
}

/** A reader on a connection that the test plays. */
function open(format: RowFormat, memory = createRowMemory()) {
  const handedBack: Buffer[] = [];
  const stream = Object.assign(new EventEmitter(), {
    isRead: true,
    lends: false,
    pause: () => void (stream.isRead = false),
    resume: () => void (stream.isRead = true),
    isPaused: () => !stream.isRead,
  });
  stream.on('data', (chunk: Buffer) => handedBack.push(chunk));
  const connection = { stream, query: () => {} } as unknown as Connection;
  const client = { connection } as unknown as Client;
  const reader = new CopyReader(client, { sql: 'copy', format, memory, afterCheck: async () => {} });
  reader.submit(connection);
  /** What is lent is overwritten by the next read. */
  const give = (chunk: Buffer) => {
    stream.emit('data', stream.lends ? chunk : Buffer.from(chunk));
    chunk.fill(0xee);
  };
  const feed = (bytes: Buffer, sizes: readonly number[] = [bytes.length]) => {
    for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!)
      give(Buffer.from(bytes.subarray(at, at + sizes[i % sizes.length]!)));
  };
  /** The driver's part: what it does with the messages that it gets back. */
  const end = (told: number) => {
    feed(message('C', Buffer.from(`COPY ${told}\0`)));
    reader.handleCommandComplete({ text: `COPY ${told}` });
    reader.handleReadyForQuery();
  };
  const drain = async () => {
    const slices = [];
    for (let slice = await reader.queue.next(); slice; slice = await reader.queue.next()) slices.push(slice);
    return slices;
  };
  return { reader, feed, end, drain, handedBack };
}

describe.each(['text', 'binary'] as const)('%s', (format) => {
  const row = fc.uint8Array({ minLength: format === 'binary' ? 3 : 1, maxLength: 40 }).map((bytes) => {
    // A field count that is not the trailer's -1.
    if (format === 'binary') bytes[0] = 0;
    return Buffer.from(bytes);
  });

  test('rows come out as they were, whatever the chunks', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { maxLength: 20 }),
        fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 5 }),
        async (rows, sizes) => {
          const { feed, end, drain, handedBack } = open(format);
          feed(copyOut(format, rows), sizes);
          end(rows.length);
          const slices = await drain();
          expect(Buffer.concat(slices.map((slice) => slice.bytes))).toEqual(Buffer.concat(rows));
          expect(slices.reduce((sum, slice) => sum + slice.rows, 0)).toBe(rows.length);
          expect(Buffer.concat(handedBack).toString()).toContain('COPY');
        },
      ),
    );
  });

  test.each([2, 4, NaN])(
    'three rows of which the server says that they are %d are no result',
    async (told) => {
      const { feed, end, drain } = open(format);
      feed(copyOut(format, [Buffer.from([0, 1, 2]), Buffer.from([0, 3, 4]), Buffer.from([0, 5, 6])]));
      end(told);
      await expect(drain()).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
    },
  );

  test('an error goes to the driver, and to the pipe after the rows that came', async () => {
    const { reader, feed, drain, handedBack } = open(format);
    const rows = copyOut(format, [Buffer.from([0, 1, 2])]).subarray(0, -5);
    feed(Buffer.concat([rows, message('E', Buffer.from('boom'))]), [3]);
    expect(Buffer.concat(handedBack).toString()).toContain('boom');
    reader.handleError(new Error('boom'));
    expect((await reader.queue.next())!.rows).toBe(1);
    await expect(drain()).rejects.toThrow('boom');
  });

  test('a row beyond the limit is refused without being kept', async () => {
    const { feed, drain } = open(format);
    const header = Buffer.from('d....');
    header.writeInt32BE(maxRowBytes + 5, 1);
    feed(Buffer.concat([message('H', Buffer.from([0, 0, 0])), header]));
    await expect(drain()).rejects.toMatchObject({ code: 'ROW_TOO_LARGE' });
  });
});

test('what is not COPY binary is not taken for rows', async () => {
  const { feed, drain } = open('binary');
  feed(message('d', Buffer.from('something else entirely')));
  await expect(drain()).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
});
