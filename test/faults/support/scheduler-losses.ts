/** What gets lost: dispatchers and their calls, news, workflows, keys of Redis, sessions of Postgres, and whole servers for a while. */
import * as fc from 'fast-check';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { command, which, withOpen, type Shares } from './scheduler-command.ts';
import { dispatcher, operation } from './scheduler-steps.ts';
import { expectNobodyIdle } from './scheduler-watch.ts';
import { advance, type SchedulerWorld } from './scheduler-world.ts';

/** Whatever a user does next, the index does not hear of it. */
const loseNews = fc
  .boolean()
  .map((isNewsLost) =>
    command(isNewsLost ? 'news are lost' : 'news arrive', async (world) =>
      Object.assign(world, { isNewsLost }),
    ),
  );

const skew = fc.constantFrom(-180_000, -1_500, 0, 1_500, 180_000).map((ms) =>
  command(`Redis is ${ms / 1000} s ahead`, async ({ clocks, settleClocks }) => {
    await clocks.skewRedis(ms);
    await settleClocks();
  }),
);

const cutOff = fc
  .tuple(dispatcher, fc.constantFrom('unsent', 'unanswered'))
  .map(([d, fate]) =>
    command(`dispatcher ${d} has a call ${fate}`, ({ dispatchers }) => dispatchers[d].go(1, fate)),
  );
const dieIn = fc
  .tuple(dispatcher, operation, fc.nat(4), fc.constantFrom('sent', 'unsent'))
  .map(([d, name, calls, how]) =>
    command(
      `dispatcher ${d} does ${name} and dies after ${calls} calls, the next ${how}`,
      async ({ dispatchers }) => {
        await dispatchers[d].finish();
        await dispatchers[d].begin(name);
        await dispatchers[d].go(calls);
        await dispatchers[d].die(how);
      },
    ),
  );
const kill = fc
  .tuple(dispatcher, fc.constantFrom('sent', 'unsent'))
  .map(([d, how]) =>
    command(`dispatcher ${d} dies, its call ${how}`, ({ dispatchers }) => dispatchers[d].die(how)),
  );

export const terminate = which.map((n) =>
  command(
    `workflow ${n} is terminated`,
    withOpen(n, (run, world) => world.terminate(run)),
  ),
);
const engine = fc
  .boolean()
  .map((isUp) =>
    command(`the engine is ${isUp ? 'up' : 'away'}`, async ({ starter }) => starter.setReachable(isUp)),
  );

export const soften = (world: SchedulerWorld): void => void (world.areCapsSoft = true);
const flush = fc.constant(null).map(() =>
  command('Redis is emptied', async (world) => {
    soften(world);
    await world.redis.flushdb();
    await world.clocks.setRedis();
  }),
);
const away = fc.boolean().map((isRedisAway) =>
  command(isRedisAway ? 'Redis is away' : 'Redis is back', async (world) => {
    soften(world);
    Object.assign(world, { isRedisAway });
  }),
);
/** The sweeps of one dispatcher while Redis is away: each starts what is due and has room, straight from the rows. */
export async function sweepWithoutRedis(world: SchedulerWorld, d: 0 | 1, sweeps: number): Promise<void> {
  soften(world);
  world.starter.setReachable(true);
  for (let n = 0; n < sweeps; n += 1) {
    await advance(world, 5_000);
    // Tries again what the engine did not take before.
    await world.dispatchers[d].does('admit');
    await world.dispatchers[d].does('sweep');
    await expectNobodyIdle(world);
    for (const run of world.open()) await world.work(run, true);
  }
}
const drought = fc.tuple(dispatcher, fc.integer({ min: 1, max: 6 })).map(([d, sweeps]) =>
  command(`Redis is away for ${sweeps} sweeps of dispatcher ${d}`, async (world) => {
    await world.dispatchers[d].finish();
    world.isRedisAway = true;
    await sweepWithoutRedis(world, d, sweeps);
    world.isRedisAway = false;
  }),
);
/** As eviction would. */
const evict = fc.array(fc.nat(20), { minLength: 1, maxLength: 4 }).map((places) =>
  command(`Redis has lost keys ${places.join(', ')}`, async (world) => {
    soften(world);
    const keys = (await world.redis.keys(world.key('*'))).toSorted((a, b) => a.localeCompare(b));
    const lost = places.flatMap((n) => (keys.length > 0 ? [keys[n % keys.length]!] : []));
    world.hasOrphans = true;
    if (lost.length > 0) await world.redis.del(lost);
  }),
);
const kept = new WeakMap<SchedulerWorld, [string, Buffer][]>();
const keep = fc.constant(null).map(() =>
  command('a replica of Redis stops', async (world) => {
    const keys = await world.redis.keys(world.key('*'));
    const dumps = await Promise.all(keys.map((key) => world.redis.dumpBuffer(key)));
    kept.set(
      world,
      keys.map((key, n) => [key, dumps[n]!]),
    );
  }),
);
const failOver = fc.constant(null).map(() =>
  command('Redis fails over to that replica', async (world) => {
    soften(world);
    await world.redis.flushdb();
    for (const [key, dump] of kept.get(world) ?? []) await world.redis.restore(key, 0, dump);
    await world.clocks.setRedis();
  }),
);
/** As a restart would, in the middle of what a dispatcher asks for. */
const endSessions = dispatcher.map((d) =>
  command(`Postgres ends all sessions while dispatcher ${d} goes on`, async ({ dispatchers, database }) => {
    const sql =
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()';
    await Promise.all([dispatchers[d].go(1), execute(database.url, sql)]);
    await waitUntil('the pool knows', () => database.pool.totalCount === 0);
  }),
);

/** What may become of dispatchers and of workflows, by how often it does. */
export const processLosses: Shares = [
  [4, dieIn],
  ...[kill, cutOff, terminate, engine, loseNews].map((fault) => [1, fault] as const),
];

/** What may become of servers, as a client sees it. */
export const serverLosses: Shares = [flush, evict, keep, failOver, away, drought, skew, endSessions].map(
  (fault) => [1, fault],
);
