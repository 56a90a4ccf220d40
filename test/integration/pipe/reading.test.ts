/** P4: the end of a result is proven, and a connection that dies is an error at once, whichever way the source is read. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { planSync } from '../../../src/copy/plan-sync.ts';
import type { ReadRequest, Source, SourceRead } from '../../../src/ports/source.ts';
import { openPostgresSource } from '../../../src/sources/postgres/postgres-source.ts';
import { createPipeRoom, rowsAsText, type PipeRoom } from '../../support/pipe-room.ts';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { waitUntil } from '../../support/wait-until.ts';

let room: PipeRoom;
let proxy: TcpProxy;
let through: Source;
const wide = 'select i as id, repeat(md5(i::text), 20) as filler from generate_series(1, 100000) as i';

beforeAll(async () => {
  room = await createPipeRoom();
  const { host, port } = room.sourceAccess;
  proxy = await startTcpProxy({ host, port });
  through = openPostgresSource({ ...room.sourceAccess, host: '127.0.0.1', port: proxy.port }, room.memory);
});
afterAll(async () => {
  await through.close();
  await proxy.close();
  await room.close();
});
afterEach(() => proxy.mend());

describe.each(['copy', 'cursor'] as const)('read by %s', (reader) => {
  const request = (query: string, over: Partial<ReadRequest> = {}): ReadRequest => ({
    query,
    columns: [
      { name: 'id', typeOid: 23, typeName: 'integer' },
      { name: 'filler', typeOid: 25, typeName: 'text' },
    ],
    format: 'text',
    reader,
    key: ['id'],
    uniqueKey: true,
    after: null,
    bounds: {},
    cursor: null,
    window: { low: null, high: null },
    rowTimeoutMs: 30_000,
    signal: new AbortController().signal,
    ...over,
  });

  const readAll = async (read: SourceRead): Promise<number> => {
    let rows = 0;
    for (let slice = await read.next(); slice; slice = await read.next()) {
      rows += slice.rows;
      slice.release();
    }
    return rows;
  };

  /** Reads until the fault has had its effect: the error, or null. */
  const errorAfter = async (read: SourceRead, cause: () => unknown): Promise<unknown> => {
    try {
      (await read.next())?.release();
      await cause();
      await readAll(read);
      return null;
    } catch (error) {
      return error;
    }
  };

  const backends = async () => {
    const sql = `select pid from pg_stat_activity where application_name = 'penstock' and datname = current_database()`;
    return (await room.from.query<{ pid: number }>(sql)).rows.map((row) => row.pid);
  };

  test.each([
    [
      'its backend is terminated',
      async () =>
        void (await room.from.query('select pg_terminate_backend(pid) from unnest($1::int[]) as t(pid)', [
          await backends(),
        ])),
    ],
    ['its connection is reset', () => proxy.cut('reset')],
    ['its connection is ended', () => proxy.cut('end')],
  ])('when %s, a read fails at once, with no time-out, and never just ends', async (_, cause) => {
    const read = await through.read(request(wide, { rowTimeoutMs: 600_000 }));
    expect(await errorAfter(read, cause)).toMatchObject({ code: expect.stringMatching(/^SOURCE_/) });
    await read.close();
  });

  test('a network that has stopped is SOURCE_STALLED after the row time-out', async () => {
    const read = await through.read(request(wide, { rowTimeoutMs: 300 }));
    expect(await errorAfter(read, () => proxy.freeze())).toMatchObject({ code: 'SOURCE_STALLED' });
    proxy.thaw();
    await read.close();
  });

  test('a pipe that is busy for longer than the row time-out is not a stalled source', async () => {
    const read = await room.source.read(request(wide, { rowTimeoutMs: 2_000 }));
    try {
      (await read.next())?.release();
      await room.from.query('select pg_sleep(3)');
      expect(await readAll(read)).toBeGreaterThan(0);
    } finally {
      await read.close();
    }
  });

  test('an end without the server’s word for it is no end', async () => {
    const read = await through.read(
      request('select i as id, $$$$ as filler from generate_series(1, 10) as i'),
    );
    // The last message of the result: its command tag.
    proxy.intercept('toClient', (chunk) =>
      /(COPY|SELECT) \d+\0/.test(chunk.toString('latin1')) ? 'cut' : 'pass',
    );
    await expect(readAll(read)).rejects.toMatchObject({ code: expect.stringMatching(/^SOURCE_/) });
    await read.close();
  });

  test('a session that says it is writable after the last row proves no end', async () => {
    let isAsked = false;
    proxy.intercept('toServer', (chunk) => {
      isAsked ||= chunk.includes(`current_setting('transaction_read_only')`);
      return 'pass';
    });
    // The answer is a field of two bytes: `on`.
    proxy.intercept('toClient', (chunk) => {
      const at = isAsked ? chunk.indexOf('\0\0\0\x02on', 0, 'latin1') : -1;
      if (at >= 0) chunk.write('no', at + 4, 'latin1');
      return 'pass';
    });
    const read = await through.read(
      request('select i as id, $$$$ as filler from generate_series(1, 10) as i'),
    );
    await expect(readAll(read)).rejects.toMatchObject({ code: 'QUERY_NOT_ALLOWED' });
    await read.close();
  });

  test('an error in mid-result is an error, not an end', async () => {
    const query = 'select i as id, (1 / (50000 - i))::text as filler from generate_series(1, 100000) as i';
    const read = await room.source.read(request(query, { key: [] }));
    await expect(readAll(read)).rejects.toMatchObject({ code: 'SOURCE_SQL' });
    await read.close();
  });

  test.each([1, 2, 3, 7, 1000])(
    'a result that arrives in pieces of %i bytes is the same',
    async (pieceBytes) => {
      const read = async (source: Source) => {
        const query = `select i as id, repeat(chr(64 + i), i) as filler from generate_series(1, 60) as i`;
        const one = await source.read(request(query));
        const slices: Buffer[] = [];
        for (let slice = await one.next(); slice; slice = await one.next())
          slices.push(Buffer.from(slice.bytes));
        await one.close();
        return Buffer.concat(slices);
      };
      const whole = await read(room.source);
      proxy.chop('toClient', pieceBytes);
      expect(await read(through)).toEqual(whole);
    },
  );

  test.each([0, 1, 999, 1000, 1001, 2000, 5000])('%i rows are that many', async (count) => {
    const read = await room.source.read(
      request(`select i as id, repeat('x', i % 300) as filler from generate_series(1, ${count}) as i`),
    );
    expect(await readAll(read)).toBe(count);
    await read.close();
  });

  test('rows may be wide: those that come while the pipe is busy are left to the server', async () => {
    // Each row that the server makes leaves a lock.
    const filler = `repeat('x', 3 << 20) || pg_advisory_lock_shared(i)`;
    const query = `select i as id, ${filler} as filler from generate_series(1, 60) as i`;
    const read = await room.source.read(request(query, { key: [] }));
    let made = 0;
    await waitUntil('the server makes no more rows', async () => {
      const before = made;
      const sql = `select from pg_locks where locktype = 'advisory' and pid = any ($1)`;
      made = (await room.from.query(sql, [await backends()])).rowCount!;
      await room.from.query('select pg_sleep(0.3)');
      return made > 0 && made === before;
    });
    expect(made).toBeLessThan(40);
    expect(await readAll(read)).toBe(60);
    await read.close();
  });

  test('closing a read in the middle stops the statement at the server and gives all memory back', async () => {
    const read = await room.source.read(request(wide));
    await read.next();
    await read.close();
    await waitUntil('its session is gone', async () => (await backends()).length === 0);
    // All of the budget is free again: it can be taken as one.
    const all = room.memory.take(64 * 1024 * 1024);
    expect(all).not.toBeNull();
    room.memory.give(all!);
  });

  test('an aborted read throws the signal’s reason', async () => {
    const cancel = new AbortController();
    const read = await room.source.read(
      request('select 1 as id, pg_sleep(60)::text as filler', { signal: cancel.signal }),
    );
    const next = read.next();
    cancel.abort(new Error('enough'));
    await expect(next).rejects.toThrow('enough');
    await read.close();
  });

  test('a column that has changed its type since the plan is noticed before a row is read', async () => {
    const read = room.source.read(request('select 1::bigint as id, $$$$ as filler'));
    await expect(read).rejects.toMatchObject({ code: 'SCHEMA_CHANGED' });
  });
});

describe('a source', () => {
  /** Makes the server not know what begins with these words. */
  const misspell = (words: string): void =>
    proxy.intercept('toServer', (chunk) => {
      const at = chunk.indexOf(words);
      if (at >= 0) chunk.write('?', at);
      return 'pass';
    });

  test.each([
    ['that has COPY', '', { reader: 'copy', format: 'binary' }, []],
    ['that has COPY for text alone', 'format binary', { reader: 'copy', format: 'text' }, []],
    ['without COPY', 'copy (', { reader: 'cursor', format: 'text' }, [expect.stringMatching(/has no COPY/)]],
  ])('%s is read as it can be: its plan says how, and all rows arrive', async (_, words, way, warnings) => {
    await room.from.query(
      `drop table if exists item;
       create table item as select i as id, 'item ' || i as name from generate_series(1, 1000) as i;
       alter table item add primary key (id); analyze item`,
    );
    await room.to.query('drop table if exists target');
    const sync = room.sync({ query: 'select * from item', key: ['id'], mode: 'upsert' });
    if (words !== '') misspell(words);
    const ends = { source: through, destination: room.destination };
    const plan = await planSync(ends, { sync: sync.id, syncVersion: 1, spec: sync.spec });
    expect(plan).toMatchObject({ ok: true, read: way, warnings });
    expect(await room.run(sync, { source: through })).toMatchObject({ inserted: 1000 });
    expect(await rowsAsText(room.to, 'select * from target')).toEqual(
      await rowsAsText(room.from, 'select * from item'),
    );
  });
});
