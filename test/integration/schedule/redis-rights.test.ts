/** The rights that the doctor prints, in the hands of a user of Redis who has no other. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { fetchRefused, rightsOf, scriptedCommands } from '../../../src/schedule/redis-rights.ts';
import { createRedisServers, type RedisNode, type RedisServers } from '../../support/redis-servers.ts';
import { createSchedulerRoom, endRuns, plantDue, type SchedulerRoom } from '../../support/scheduler-room.ts';
import { waitUntil } from '../../support/wait-until.ts';

let servers: RedisServers;
let redis: RedisNode;
let room: SchedulerRoom;
let url: string;
beforeAll(async () => {
  servers = await createRedisServers();
  redis = await servers.start();
  room = await createSchedulerRoom();
  url = `redis://penstock:pw@127.0.0.1:${redis.port}/1`;
});
afterEach(() => room.clear());
afterAll(async () => {
  await room.close();
  await servers.close();
});

const allow = (...rules: string[]) => redis.admin.acl('SETUSER', 'penstock', ...rules);

test('with them, ticks, admissions and sweeps are refused nothing', async () => {
  await allow('reset', 'on', '>pw', ...rightsOf('single'));
  const index = await room.openIndex({}, url);
  await room.startDispatcher({ index, options: { ...room.deps().options, globalCap: 3 } });
  await plantDue(room.pool, { count: 6, connection: { maxRuns: 3 } });
  const started = (count: number) =>
    waitUntil('runs are started', () => room.starter.started.length >= count);
  await started(3);
  await endRuns(
    room,
    index,
    room.starter.started.map(({ runId }) => runId),
  );
  await started(6);
  expect(await redis.admin.acl('LOG')).toEqual([]);
});

test('each that is taken away is found missing by name', async () => {
  for (const command of scriptedCommands) {
    await allow('reset', 'on', '>pw', ...rightsOf('single'), `-${command}`);
    // Without INFO a ready check would complain.
    const client = new Redis(url, { enableReadyCheck: false });
    expect(await fetchRefused(client)).toEqual([command]);
    client.disconnect();
  }
});

test('without one of them the index is away, and says what to do', async () => {
  await allow('reset', 'on', '>pw', ...rightsOf('single'));
  const index = await room.openIndex({}, url);
  await allow('-publish');
  await expect(
    index.offerRuns([
      { runId: 'run_x', tenantId: 'ten_x', syncId: 'syn_x', connectionId: 'con_x', score: 1 } as never,
    ]),
  ).rejects.toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('penstock doctor') });
});
