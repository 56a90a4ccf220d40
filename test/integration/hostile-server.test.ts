/** A tenant's server may send anything: it loses its connection, and the process that it shares with others goes on. */
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Client } from 'pg';
import { createRowMemory } from '../../src/copy/row-memory.ts';
import type { ConnectionAccess } from '../../src/ports/connection.ts';
import { connect, destroy } from '../../src/postgres-client/connect.ts';
import { connectionFault } from '../../src/postgres-client/driver-errors.ts';
import { rowsOf, runAll } from '../../src/postgres-client/query.ts';
import { CopyReader } from '../../src/sources/postgres/copy-reader.ts';
import { CursorReader } from '../../src/sources/postgres/cursor-reader.ts';

/** A message of the protocol; its length is told as it is, unless another is. */
function message(code: string, body: Buffer | string = '', length?: number): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const header = Buffer.alloc(5);
  header.write(code, 'latin1');
  header.writeUInt32BE(length ?? bytes.length + 4, 1);
  return Buffer.concat([header, bytes]);
}

const ready = message('Z', 'I');
const loggedIn = Buffer.concat([message('R', '\0\0\0\0'), ready]);
const int16 = (value: number): string => String.fromCharCode((value >> 8) & 255, value & 255);
const oneColumn = message('T', `${int16(1)}a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0`);
const row = message('D', `${int16(1)}\0\0\0\x01x`);

let server: Server;
let port: number;
/** What it sends once it is asked; again and again. */
let answer: Buffer;
let isEndless = false;
beforeAll(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => {
      socket.write(loggedIn);
      socket.on('data', () => {
        const send = (): void => {
          socket.write(answer);
          if (isEndless && !socket.destroyed) setImmediate(send);
        };
        send();
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => void server.close());

const access = (): ConnectionAccess => ({
  connectionId: 'con_x',
  kind: 'postgres',
  host: '127.0.0.1',
  port,
  database: 'd',
  user: 'u',
  password: 'p',
  tls: { mode: 'disable' },
});

/** What becomes of its connection; undefined when it goes well. */
async function ask(bytes: Buffer, work: (client: Client) => Promise<unknown>): Promise<string | undefined> {
  answer = bytes;
  const client = await connect(access(), { maxAnswerBytes: 1024 * 1024 });
  try {
    await work(client);
    return undefined;
  } catch (error) {
    return connectionFault(error);
  } finally {
    destroy(client);
  }
}
const query = (client: Client) => rowsOf(client, 60_000, 'select 1');

const noProtocol = 'what answers does not speak PostgreSQL’s protocol';
test.each<[string, Buffer]>([
  ['an error without an end', message('E')],
  ['an error whose text has no end', message('E', 'SERROR\0Mno end')],
  ['an error without an end, before others', Buffer.concat([message('E', 'Mx\0'), ready])],
  ['an error that goes on after its end', message('E', 'Mx\0\0Sx\0\0')],
  ['a notice without an end', message('N', 'Mx\0')],
  ['a message that is shorter than its own length', message('1', '', 3)],
  ['a login that there is not', message('R', '\0\0\0\x63')],
  ['columns that are not there', message('T', int16(500))],
  ['fewer than no columns', message('D', int16(-2))],
])('%s ends the connection', async (_, bytes) => {
  isEndless = false;
  expect(await ask(bytes, query)).toBe(noProtocol);
});

const tooMuch = 'the server sends more than is taken at once';
test.each<[string, Buffer]>([
  ['a message of two gigabytes', message('D', 'x'.repeat(65_536), 0x7fffffff)],
  ['rows without end', Buffer.concat([oneColumn, ...Array<Buffer>(1000).fill(row)])],
  ['portals without end', Buffer.concat([oneColumn, ...Array<Buffer>(1000).fill(row), message('s')])],
  ['notices without end', message('N', `M${'x'.repeat(1_000)}\0\0`)],
])('%s is not gathered', async (_, bytes) => {
  isEndless = true;
  expect(await ask(bytes, query)).toBe(tooMuch);
});

test('rows of many empty columns are not gathered, from which the driver makes far more than came', async () => {
  isEndless = false;
  const columns = 1_000;
  const described = Array.from({ length: columns }, (_, i) => `c${i}\0${'\0'.repeat(18)}`).join('');
  const empty = message('D', int16(columns) + '\xff'.repeat(4 * columns));
  const rows = [message('T', int16(columns) + described), ...Array<Buffer>(40).fill(empty)];
  expect(await ask(Buffer.concat([...rows, message('C', 'SELECT 40\0'), ready]), query)).toBe(tooMuch);
});

test('a long answer is taken, one after the other', async () => {
  isEndless = false;
  const rows = Buffer.concat([
    oneColumn,
    ...Array<Buffer>(5000).fill(row),
    message('C', 'SELECT 5000\0'),
    ready,
  ]);
  const taken = await ask(rows, async (client) => {
    for (let i = 0; i < 3; i++)
      expect((await runAll(client, 'select 1', 60_000))[0]!.rows).toHaveLength(5000);
  });
  expect(taken).toBeUndefined();
});

test.each([0, 3, 0x80000000, 0xffffffff])(
  'a COPY with a message of length %i is refused at once',
  async (length) => {
    isEndless = false;
    const copying = Buffer.concat([
      message('H', `\0${int16(0)}`),
      message('d', 'a\n'),
      message('d', '', length),
    ]);
    const read = await ask(copying, async (client) => {
      const reader = new CopyReader(client, {
        sql: 'copy (select 1) to stdout',
        format: 'text',
        memory: createRowMemory(),
        afterCheck: async () => {},
      });
      client.query(reader);
      expect(await reader.queue.next()).toMatchObject({ rows: 1 });
      const soon = delay(30_000, 'nothing is said', { ref: false });
      await expect(Promise.race([reader.queue.next(), soon])).rejects.toMatchObject({
        code: 'END_NOT_PROVEN',
      });
      reader.close();
    });
    expect(read).toBeUndefined();
  },
);

test('more rows than a fetch asks for end the connection: what is left of each would be kept', async () => {
  isEndless = true;
  const rows = Buffer.concat([message('1'), message('2'), oneColumn, ...Array<Buffer>(1000).fill(row)]);
  const read = await ask(rows, async (client) => {
    const reader = new CursorReader(client, {
      sql: 'select 1',
      memory: createRowMemory(),
      afterCheck: async () => {},
    });
    const readAll = async (): Promise<never> => {
      for (;;) await reader.queue.next();
    };
    const soon = delay(30_000, 'nothing is said', { ref: false });
    await expect(Promise.race([readAll(), soon])).rejects.toMatchObject({ code: 'END_NOT_PROVEN' });
    reader.close();
  });
  expect(read).toBeUndefined();
});
