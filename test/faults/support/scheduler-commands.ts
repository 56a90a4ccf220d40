/** What may happen to a scheduler, in any order: users, time, dispatchers that are slow or die, and lost servers. */
import * as fc from 'fast-check';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import { planTrigger } from '../../../src/domain/trigger.ts';
import { execute } from '../../support/execute.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { expectCaps } from './scheduler-oracle.ts';
import { operationNames } from './slow-dispatcher.ts';
import {
  advance,
  endMs,
  resume,
  specOf,
  startMs,
  type KnownSync,
  type SchedulerWorld,
} from './scheduler-world.ts';

type Act = (world: SchedulerWorld) => Promise<unknown>;
type Command = fc.AsyncCommand<object, SchedulerWorld>;

const command = (name: string, act: Act): Command => ({
  check: () => true,
  toString: () => name,
  async run(_, world) {
    await act(world);
    await expectCaps(world);
  },
});

const endAt = new Date(endMs - 137).toISOString();
const inMinutes = (minutes: number): string => new Date(startMs - 137 + minutes * 60_000).toISOString();

const schedules = fc.constantFrom<NonNullable<SyncSpecInput['schedule']>>(
  { every: '1m', endAt },
  { every: '5m', endAt },
  { cron: '*/2 * * * *', timezone: 'UTC', endAt },
  { at: inMinutes(3) },
  { at: inMinutes(20) },
);
const specs: fc.Arbitrary<Partial<SyncSpecInput>> = fc.record({
  schedule: schedules,
  priority: fc.integer({ min: 1, max: 5 }),
  overlap: fc.constantFrom('skip', 'buffer_one', 'cancel_other'),
});

const which = fc.nat(7);
/** Of the syncs that are there. */
const withSync =
  (n: number, act: (sync: KnownSync, world: SchedulerWorld) => Promise<unknown>): Act =>
  async (world) => {
    const there = world.syncs.filter((sync) => !sync.isDeleted);
    if (there.length > 0) await act(there[n % there.length]!, world);
  };
const withOpen =
  (
    n: number,
    act: (run: ReturnType<SchedulerWorld['open']>[number], world: SchedulerWorld) => unknown,
  ): Act =>
  async (world) => {
    const open = world.open();
    if (open.length > 0) await act(open[n % open.length]!, world);
  };

interface NewSync {
  readonly tenant: number;
  readonly spec: Partial<SyncSpecInput>;
}
const newSync: fc.Arbitrary<NewSync> = fc.record({ tenant: fc.nat(1), spec: specs });

/** The syncs that are there at the beginning. */
export const firstSyncs = fc.array(newSync, { minLength: 2, maxLength: 4 });
const mostSyncs = 6;

/** A user makes a sync; the index may not hear of it. */
export async function createSync(
  { syncs, store, tenants, clocks }: SchedulerWorld,
  { tenant, spec }: NewSync,
): Promise<void> {
  const scope = tenants[tenant]!;
  const { id } = await store.syncs.create(scope, specOf(`s-${syncs.length}`, spec));
  const era = { schedule: spec.schedule!, fromMs: clocks.nowMs(), untilMs: null };
  syncs.push({ id, scope, isDeleted: false, eras: [era] });
}

const create = newSync.map((given) =>
  command(`create ${JSON.stringify(given)}`, async (world) => {
    if (world.syncs.length < mostSyncs) await createSync(world, given);
  }),
);

const edit = fc.tuple(which, specs).map(([n, spec]) =>
  command(
    `edit sync ${n} ${JSON.stringify(spec)}`,
    withSync(n, async ({ id, scope, eras }, { store, clocks, syncs }) => {
      const name = `s-${syncs.findIndex((sync) => sync.id === id)}`;
      const before = await store.syncs.fetch(scope, id);
      const { version } = await store.syncs.replace(scope, id, specOf(name, spec), undefined);
      if (version === before.version) return;
      eras.at(-1)!.untilMs = clocks.nowMs();
      eras.push({ schedule: spec.schedule!, fromMs: clocks.nowMs(), untilMs: null });
    }),
  ),
);

const pause = which.map((n) =>
  command(
    `pause sync ${n}`,
    withSync(n, async ({ id, scope }, { store, pauses, clocks }) => {
      await store.syncs.pause(scope, id, { reason: null, until: null });
      if (!pauses.some((each) => each.of === id && each.untilMs === null))
        pauses.push({ of: id, fromMs: clocks.nowMs(), untilMs: null });
    }),
  ),
);

const pauseTenant = fc.nat(1).map((n) =>
  command(`pause tenant ${n}`, async ({ store, tenants, pauses, clocks }) => {
    const tenant = tenants[n]!;
    await store.pauses.pause({ ...tenant, tenantId: null }, tenant.tenantId, { reason: null, until: null });
    if (!pauses.some((each) => each.of === tenant.tenantId && each.untilMs === null))
      pauses.push({ of: tenant.tenantId, fromMs: clocks.nowMs(), untilMs: null });
  }),
);

const resumeOne = which.map((n) =>
  command(`resume what is paused (${n})`, async (world) => {
    const open = world.pauses.filter((each) => each.untilMs === null);
    if (open.length > 0) await resume(world, open[n % open.length]!.of);
  }),
);

const remove = which.map((n) =>
  command(
    `delete sync ${n}`,
    withSync(n, async (sync, { store, clocks }) => {
      await store.syncs.delete(sync.scope, sync.id, undefined);
      sync.isDeleted = true;
      sync.eras.at(-1)!.untilMs = clocks.nowMs();
    }),
  ),
);

const trigger = fc.tuple(which, fc.constantFrom('0s', '30s', '4m')).map(([n, after]) =>
  command(
    `trigger sync ${n} in ${after}`,
    withSync(n, async ({ id, scope }, { store }) =>
      store.runs.trigger(scope, id, {
        requestKey: undefined,
        priority: undefined,
        plan: planTrigger({ in: after }),
      }),
    ),
  ),
);

/** Whatever a user does next, the index does not hear of it. */
const loseNews = fc
  .boolean()
  .map((isNewsLost) =>
    command(isNewsLost ? 'news are lost' : 'news arrive', async (world) =>
      Object.assign(world, { isNewsLost }),
    ),
  );

const time = fc
  .constantFrom(1_000, 7_000, 31_000, 60_000, 60_000, 61_000, 120_000, 300_000)
  .map((ms) => command(`${ms / 1000} s pass`, (world) => advance(world, ms)));

const skew = fc.constantFrom(-180_000, -1_500, 0, 1_500, 180_000).map((ms) =>
  command(`Redis is ${ms / 1000} s ahead`, async ({ clocks, settleClocks }) => {
    await clocks.skewRedis(ms);
    await settleClocks();
  }),
);

const dispatcher = fc.constantFrom<0 | 1>(0, 1);
const operation = fc.constantFrom(
  'tick',
  'tick',
  'tick',
  'admit',
  'admit',
  'admit',
  'sweep',
  ...operationNames,
);
const whole = fc.tuple(dispatcher, operation).map(([d, name]) =>
  command(`dispatcher ${d} does ${name}`, async ({ dispatchers }) => {
    await dispatchers[d].finish();
    await dispatchers[d].begin(name);
    await dispatchers[d].finish();
  }),
);
const part = fc.tuple(dispatcher, operation, fc.nat(9)).map(([d, name, calls]) =>
  command(`dispatcher ${d} begins ${name} and goes ${calls} calls`, async ({ dispatchers }) => {
    await dispatchers[d].begin(name);
    await dispatchers[d].go(calls);
  }),
);
const on = fc
  .tuple(dispatcher, fc.integer({ min: 1, max: 4 }))
  .map(([d, calls]) =>
    command(`dispatcher ${d} goes ${calls} calls on`, ({ dispatchers }) => dispatchers[d].go(calls)),
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

const work = fc.tuple(which, fc.boolean()).map(([n, hears]) =>
  command(
    `a worker takes run ${n} on${hears ? '' : ', unheard'}`,
    withOpen(n, (run, world) => world.work(run, hears)),
  ),
);
const terminate = which.map((n) =>
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

const soften = (world: SchedulerWorld): void => void (world.areCapsSoft = true);
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
/** As its restart would, in the middle of what a dispatcher asks for. */
const endSessions = dispatcher.map((d) =>
  command(`Postgres ends all sessions while dispatcher ${d} goes on`, async ({ dispatchers, database }) => {
    const sql =
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()';
    await Promise.all([dispatchers[d].go(1), execute(database.url, sql)]);
    await waitUntil('the pool knows', () => database.pool.totalCount === 0);
  }),
);

/** How often each is drawn: what happens most is work, and a fault now and then. */
const shares: readonly (readonly [number, fc.Arbitrary<Command>])[] = [
  ...[create, pause, remove, pauseTenant].map((user) => [1, user] as const),
  ...[edit, resumeOne, trigger].map((user) => [2, user] as const),
  [7, time],
  [9, whole],
  [4, part],
  [3, on],
  [4, work],
  [4, dieIn],
  [1, kill],
  ...[cutOff, terminate, engine, loseNews].map((fault) => [1, fault] as const),
  ...[flush, evict, keep, failOver, away, skew, endSessions].map((fault) => [1, fault] as const),
];

/** A story: whatever may happen, in any order. */
export const schedulerCommands = fc.commands(
  shares.flatMap(([n, each]) => Array<fc.Arbitrary<Command>>(n).fill(each)),
  { maxCommands: 150, size: 'max' },
);
