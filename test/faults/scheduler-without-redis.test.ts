/**
 * P7 while Redis is down for an hour: the five-second sweep starts what is due straight from the rows, and says so. The
 * server is really down, and the control database's clock goes an hour on in 720 sweeps; in `npm test`, ten minutes in 120.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRedisServers, type RedisNode, type RedisServers } from '../support/redis-servers.ts';
import { createSchedulerGround, type SchedulerGround } from './support/scheduler-ground.ts';
import { sweepWithoutRedis } from './support/scheduler-losses.ts';
import { comeToRest, expectRest } from './support/scheduler-oracle.ts';
import { returnOfRedis } from './support/scheduler-servers.ts';
import { createSync } from './support/scheduler-users.ts';
import { advance, createWorld, endMs } from './support/scheduler-world.ts';
import { isThorough } from './support/seeds.ts';

let servers: RedisServers;
let node: RedisNode;
let ground: SchedulerGround;
beforeAll(async () => {
  servers = await createRedisServers();
  node = await servers.start();
  ground = await createSchedulerGround({ redisUrl: node.url });
}, 60_000);
afterAll(async () => {
  await ground.close();
  await servers.close();
}, 60_000);

const endAt = new Date(endMs - 137).toISOString();

const minutes = isThorough ? 60 : 10;
const sweeps = (minutes * 60) / 5;

test(`${minutes} minutes without Redis: each due time has its run within five seconds, and two lines say why`, async () => {
  const world = await createWorld(ground);
  const { dispatchers, lines, clocks, starter } = world;
  const [dispatcher] = dispatchers;
  await createSync(world, { tenant: 0, spec: { schedule: { every: '1m', endAt } } });
  await createSync(world, { tenant: 0, spec: { schedule: { every: '5m', endAt } } });
  await createSync(world, { tenant: 2, spec: { schedule: { cron: '*/2 * * * *', timezone: 'UTC', endAt } } });
  await dispatcher.does('refill');
  await dispatcher.does('sweep');
  const told = () =>
    lines.filter((line) => line.includes('"sweep: ')).map((line) => /without|again/.exec(line)?.[0]);
  expect(told()).toEqual([]);

  await node.kill();
  const late: number[] = [];
  for (let n = 0, seen = 0; n < sweeps; n += 1) {
    await sweepWithoutRedis(world, 0, 1);
    late.push(...starter.started.slice(seen).map(({ dueAtMs }) => clocks.nowMs() - dueAtMs));
    seen = starter.started.length;
    for (const run of world.open()) await world.work(run, true);
  }
  expect(late).toHaveLength(minutes + minutes / 5 + minutes / 2);
  expect(Math.max(...late)).toBeLessThanOrEqual(5_000);
  expect(told()).toEqual(['without']);

  await node.start();
  await returnOfRedis(world);
  await advance(world, 60_000);
  for (const name of ['sweep', 'refill', 'tick', 'admit'] as const) await dispatcher.does(name);
  expect(told()).toEqual(['without', 'again']);
  expect(starter.started.length).toBeGreaterThan(late.length);
  await comeToRest(world);
  await expectRest(world);
});
