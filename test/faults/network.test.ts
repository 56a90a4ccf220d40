/** P1, P2: the network between the pipe and either database stops without a word, is slow, or breaks everything into pieces. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { newId, type RunId } from '../../src/domain/ids.ts';
import type { Destination, OpenLoad } from '../../src/ports/destination.ts';
import type { Source } from '../../src/ports/source.ts';
import { openPostgresSource } from '../../src/sources/postgres/postgres-source.ts';
import type { PipeRoom } from '../support/pipe-room.ts';
import { startTcpProxy, type Direction, type TcpProxy } from '../support/tcp-proxy.ts';
import { expectExact } from './support/expect-exact.ts';
import { createItemRoom, itemQuery } from './support/items.ts';

/** 1.2 MB: more than the sockets between here and there hold. */
const rows = 1_200;
const limits = { rows: 100, bytes: 16 * 1024 * 1024, timeMs: 60_000 };

let room: PipeRoom;
let proxies: { source: TcpProxy; destination: TcpProxy };
let far: { source: Source; destination: Destination };
let run: RunId;
let load: OpenLoad;
beforeAll(async () => {
  room = await createItemRoom(rows, 'repeat(md5(i::text), 31)');
});
afterAll(() => room.close());
beforeEach(async () => {
  const { host, port } = room.sourceAccess;
  proxies = {
    source: await startTcpProxy({ host, port }),
    destination: await startTcpProxy({ host, port }),
  };
  far = {
    source: openPostgresSource({ ...room.sourceAccess, port: proxies.source.port }, room.memory),
    destination: room.openDestination({
      access: { port: proxies.destination.port },
      timeouts: { answerMs: 2_000, statementMs: 1_900 },
    }),
  };
  await room.to.query('drop table if exists target; drop schema if exists _penstock cascade');
  await room.destination.ensureSchema();
  run = newId('run');
  load = await room.prepare(room.sync({ query: itemQuery, key: ['id'] }), run);
});
afterEach(async () => {
  for (const proxy of Object.values(proxies)) await proxy.close();
  await Promise.all([far.source.close(), far.destination.close()]);
});

/** Stops without a word once so much has come by. Resolves then. */
const stopAfter = (proxy: TcpProxy, direction: Direction, isTime: (chunk: Buffer) => boolean) =>
  proxy.intercept(direction, (chunk) => {
    if (isTime(chunk)) proxy.freeze();
    return 'pass';
  });

/** True from the n-th time on. */
const atLast = (isOne: (chunk: Buffer) => boolean, times: number) => {
  let left = times;
  return (chunk: Buffer): boolean => isOne(chunk) && --left <= 0;
};

/** The message that ends a batch's rows. */
const copyDone = Buffer.from('c\0\0\0\x04');

describe('a network that stops', () => {
  test('before the source is found by the row time-out; the next attempt goes on', async () => {
    let bytes = 0;
    stopAfter(proxies.source, 'toClient', (chunk) => (bytes += chunk.length) > 600_000);
    const { source } = far;
    const stalled = await room.attempt(run, load, { source, limits, rowTimeoutMs: 2_000 });
    expect(stalled).toMatchObject({ outcome: 'yielded', error: { code: 'SOURCE_STALLED' } });
    expect(stalled.rows).toBeGreaterThanOrEqual(100);
    const next = await room.attempt(run, load, { limits });
    expect(next).toMatchObject({ outcome: 'finished', rows: rows - stalled.rows });
    await expectExact(room, { run, load, query: itemQuery });
  });

  test.each([
    ['in a batch', 'DESTINATION_UNREACHABLE', (chunk: Buffer) => chunk.subarray(-5).equals(copyDone)],
    ['at its COMMIT', 'COMMIT_UNKNOWN', (chunk: Buffer) => chunk.includes('; commit')],
  ] as const)(
    'before the destination is found %s; the next attempt ends the transaction that was open there',
    async (_, code, isMoment) => {
      stopAfter(proxies.destination, 'toServer', atLast(isMoment, 3));
      const { destination } = far;
      const stopped = await room.attempt(run, load, { destination, limits });
      expect(stopped).toMatchObject({ outcome: 'yielded', batches: 2, error: { code } });
      // Past the network: what it holds never arrives, and its connections stay open at the server.
      const next = await room.attempt(run, load, { limits });
      expect(next.outcome).toBe('finished');
      await expectExact(room, { run, load, query: itemQuery });
    },
  );
});

describe('a network before both databases that', () => {
  const everywhere = (spoil: (proxy: TcpProxy, direction: Direction) => void) => {
    for (const proxy of Object.values(proxies))
      for (const direction of ['toServer', 'toClient'] as const) spoil(proxy, direction);
  };

  test.each([
    ['lets a megabit a second through', (proxy: TcpProxy, to: Direction) => proxy.throttle(to, 125_000)],
    ['brings single bytes', (proxy: TcpProxy, to: Direction) => proxy.chop(to, 1)],
  ])(
    '%s slows the copy down, and that is all',
    async (_, spoil) => {
      const few = `${itemQuery} where id <= 60`;
      await room.to.query('drop table target; drop schema _penstock cascade');
      await room.destination.ensureSchema();
      load = await room.prepare(room.sync({ query: few, key: ['id'] }), run);
      const slow = room.openDestination({ access: { port: proxies.destination.port } });
      everywhere(spoil);
      const ends = { source: far.source, destination: slow };
      const ended = await room.attempt(run, load, { ...ends, limits: { ...limits, rows: 25 } });
      expect(ended).toMatchObject({ outcome: 'finished', rows: 60 });
      await slow.close();
      await expectExact(room, { run, load, query: few });
    },
    60_000,
  );
});
