/** Redis behind TLS. Servers that speak it among themselves are tried by test/faults/slow/redis-tls.test.ts. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { TlsOptions } from 'node:tls';
import { connectRedis } from '../../../src/schedule/connect-redis.ts';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { examineRedis } from '../../../src/workers/doctor/examine-redis.ts';
import { createSchedulerRoom, plantDue, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { startTlsFront, tlsFile, type TlsFront } from '../../support/tls-front.ts';
import { waitUntil } from '../../support/wait-until.ts';

const authority = `sslrootcert=${tlsFile('ca.pem')}`;
const certificate = `sslcert=${tlsFile('server.pem')}&sslkey=${tlsFile('server.key')}`;

let room: SchedulerRoom;
const fronts: TlsFront[] = [];
beforeAll(async () => {
  room = await createSchedulerRoom();
});
afterEach(() => room.clear());
afterAll(async () => {
  await room.close();
  for (const front of fronts) front.close();
});

/** The room's Redis behind TLS: its URL, with these parameters. */
async function openFront(options: TlsOptions = {}): Promise<(parameters: string) => string> {
  const { hostname, port, pathname } = new URL(room.redisUrl);
  const front = await startTlsFront({ host: hostname, port: Number(port) }, options);
  fronts.push(front);
  return (parameters) => `rediss://127.0.0.1:${front.port}${pathname}?${parameters}`;
}

async function expectServed(url: string): Promise<void> {
  await room.startDispatcher({ index: await room.openIndex({}, url) });
  await plantDue(room.pool, { count: 3 });
  await waitUntil('they are started', () => room.starter.started.length === 3);
  expect(await room.redis.scard(room.key('active:global'))).toBe(3);
}

/** Why the doctor does not reach it. */
const refusalAt = async (url: string): Promise<unknown> => (await examineRedis(parseRedisUrl(url)))[0];
const refused = (detail: string) => expect.objectContaining({ state: 'failed', detail });

test('a dispatcher that knows the authority is served; to others the doctor says why not', async () => {
  const url = await openFront();
  await expectServed(url(authority));
  expect(await refusalAt(url(''))).toEqual(refused('unable to verify the first certificate'));
  expect(await refusalAt(url('sslmode=require'))).toMatchObject({ state: 'ok' });
});

test('where everybody must show a certificate, ours is shown; without one the doctor says why not, and it is tried again', async () => {
  const url = await openFront({
    ca: readFileSync(tlsFile('ca.pem')),
    requestCert: true,
    rejectUnauthorized: true,
  });
  await expectServed(url(`${authority}&${certificate}`));
  const { client, isSettled } = connectRedis({
    address: parseRedisUrl(url(authority)),
    purpose: 'index',
    log: room.deps().log,
  });
  await isSettled;
  let attempts = 0;
  client.on('reconnecting', () => (attempts += 1));
  await waitUntil('it is tried three times', () => attempts >= 3);
  client.disconnect();
  for (const each of [url(authority), url(authority).replace(/^rediss:(.*)\/\d+/, 'rediss+cluster:$1')])
    expect(await refusalAt(each)).toEqual(refused('tlsv13 alert certificate required'));
});
