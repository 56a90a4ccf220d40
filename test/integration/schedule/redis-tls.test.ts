/** Redis behind TLS. Servers that speak it among themselves are tried by test/faults/slow/redis-tls.test.ts. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import type { TlsOptions } from 'node:tls';
import { connectRedis } from '../../../src/schedule/connect-redis.ts';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { examineRedis } from '../../../src/workers/doctor/examine-redis.ts';
import type { Finding } from '../../../src/workers/doctor/finding.ts';
import { createRedisServers, type RedisNode, type RedisServers } from '../../support/redis-servers.ts';
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

const examine = async (url: string): Promise<Finding> => (await examineRedis(parseRedisUrl(url)))[0]!;

/** Why the doctor does not reach it, once it is told: a busy machine may take longer than the doctor waits. */
async function refusalAt(url: string): Promise<Finding> {
  let found: Finding | undefined;
  await waitUntil('the doctor is told why', async () => {
    found = await examine(url);
    return !found.detail.endsWith('does not answer');
  });
  return found!;
}
const refused = (detail: string, cure: string) => ({
  state: 'failed',
  detail: expect.stringMatching(new RegExp(`^127\\.0\\.0\\.1:\\d+: ${detail}$`)),
  cure: expect.stringContaining(cure),
});
const unknownAuthority = refused('unable to verify the first certificate', 'sslrootcert=');
const wantsCertificate = refused('tlsv13 alert certificate required', 'sslcert=');
const saysNothing = refused('(closes the connection without a word|read ECONNRESET)', 'rediss://');

test('a dispatcher that knows the authority is served; to others the doctor says why not', async () => {
  const url = await openFront();
  await expectServed(url(authority));
  expect(await refusalAt(url(''))).toMatchObject(unknownAuthority);
  expect(await refusalAt(url('').replace('rediss:', 'redis:').replace('?', ''))).toMatchObject(saysNothing);
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
    expect(await refusalAt(each)).toMatchObject(wantsCertificate);
});

describe('of Sentinels', () => {
  let servers: RedisServers;
  let sentinel: RedisNode;
  beforeAll(async () => {
    servers = await createRedisServers();
    sentinel = await servers.startSentinel(await servers.start());
  });
  afterAll(() => servers.close());

  const openSentinel = async (options: TlsOptions = {}) => {
    const front = await startTlsFront({ host: '127.0.0.1', port: sentinel.port }, options);
    fronts.push(front);
    return (scheme: string, parameters: string) =>
      `${scheme}+sentinel://127.0.0.1:${front.port}/main${parameters}`;
  };

  test('the doctor says which one refuses, and why, or that it is the master behind them', async () => {
    const url = await openSentinel();
    expect(await refusalAt(url('rediss', ''))).toMatchObject(unknownAuthority);
    expect(await refusalAt(url('redis', ''))).toMatchObject(saysNothing);
    await waitUntil('the master is what does not answer', async () => {
      const { detail, cure } = await examine(url('rediss', `?${authority}`));
      return detail === 'the master that the Sentinels name: does not answer' && cure!.includes('redis://');
    });
    expect(await refusalAt(`redis+sentinel://127.0.0.1:${sentinel.port}/another`)).toMatchObject(
      refused('ERR No such master with that name', 'Name the master as the Sentinels know it'),
    );
  });

  test('one that wants our certificate is named, and tried again, for as long as it wants it', async () => {
    const picky = { ca: readFileSync(tlsFile('ca.pem')), requestCert: true, rejectUnauthorized: true };
    const url = (await openSentinel(picky))('rediss', `?${authority}`);
    expect(await refusalAt(url)).toMatchObject(wantsCertificate);
    const { client } = connectRedis({ address: parseRedisUrl(url), purpose: 'index', log: room.deps().log });
    const causes: unknown[] = [];
    client.on('error', ({ cause }: Error) => causes.push((cause as Error).message));
    await waitUntil('it is tried three times', () => causes.length >= 3);
    client.disconnect();
    expect(new Set(causes.map((cause) => /alert certificate required/.test(String(cause))))).toEqual(
      new Set([true]),
    );
  });
});
