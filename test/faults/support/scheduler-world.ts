/**
 * The scheduler's world for random faults: users, two dispatchers in slow motion, workers and an engine, over real Postgres
 * and Redis whose clocks stand still until they are moved. Remembers what was asked for, for the oracle.
 */
import { Redis } from 'ioredis';
import { newId, type RunId, type SyncId, type TenantId } from '../../../src/domain/ids.ts';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { isFinal, type RunStatus } from '../../../src/domain/run-states.ts';
import { nextDue } from '../../../src/domain/schedule.ts';
import type { ControlStore } from '../../../src/ports/control-store.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import type { ScheduleIndex } from '../../../src/ports/schedule-index.ts';
import type { Scope } from '../../../src/ports/scope.ts';
import type { DispatcherDeps } from '../../../src/schedule/dispatcher.ts';
import { parseRedisUrl } from '../../../src/config/redis-url.ts';
import { createRedisIndex, type RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createControlStore } from '../../../src/storage/control-store.ts';
import { fetchInstallation } from '../../../src/storage/installation.ts';
import { changeRun, fetchRunStatus } from '../../../src/storage/run-status.ts';
import { createScheduleStore } from '../../../src/storage/schedule-store.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { aConnection, aSpec } from '../../support/control-fixture.ts';
import { createControlDatabase, type ControlDatabase } from '../../support/control-database.ts';
import { createFakeRunStarter, type FakeRunStarter } from '../../support/fake-run-starter.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import { createRedisDatabase } from '../../support/stack.ts';
import { createTestClocks, type TestClocks } from '../../support/test-clocks.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { createSlowDispatcher, type SlowDispatcher } from './slow-dispatcher.ts';

/** What a sync was, from one instant up to another; null: still. */
export interface Era {
  readonly schedule: SyncSpecInput['schedule'];
  readonly fromMs: number;
  untilMs: number | null;
}

export interface KnownSync {
  readonly id: SyncId;
  readonly scope: Scope & { tenantId: TenantId };
  readonly eras: Era[];
  isDeleted: boolean;
}

interface KnownPause {
  /** A sync, or a tenant. */
  readonly of: SyncId | TenantId;
  readonly fromMs: number;
  untilMs: number | null;
}

export interface SchedulerWorld {
  readonly clocks: TestClocks;
  readonly store: ControlStore;
  readonly starter: FakeRunStarter;
  readonly dispatchers: readonly [SlowDispatcher, SlowDispatcher];
  readonly tenants: readonly (Scope & { tenantId: TenantId })[];
  readonly syncs: KnownSync[];
  readonly pauses: KnownPause[];
  readonly redis: Redis;
  readonly database: ControlDatabase;
  readonly key: (name: string) => string;
  readonly lines: readonly string[];
  /** While set, Redis answers nobody. */
  isRedisAway: boolean;
  /** The index does not hear the next change of a user. */
  isNewsLost: boolean;
  /** Redis has lost something: caps are soft until it is at rest. */
  areCapsSoft: boolean;
  /** Redis has lost single keys, which it does under no policy that is accepted: what it knew by others may be left. */
  hasOrphans: boolean;
  /** What was seen to be wrong on the way. */
  readonly wrongs: string[];
  readonly open: () => readonly RunToStart[];
  /** A worker takes a run one status on. */
  readonly work: (run: RunToStart, hearsOfRelease: boolean) => Promise<void>;
  readonly terminate: (run: RunToStart) => void;
  readonly settleClocks: () => Promise<void>;
}

export const globalCap = 3;
export const tenantCap = 2;

/** The servers, for as many worlds as there are seeds. */
export interface SchedulerGround {
  readonly create: () => Promise<SchedulerWorld>;
  readonly close: () => Promise<void>;
}

const receipt = Object.fromEntries(
  'read inserted updated unchanged deduplicated rejected tombstones deleted batches bytes'
    .split(' ')
    .map((name) => [name, 0]),
) as never;

/** A whole minute, and a bit: no due time is ever now. */
export const startMs = Date.UTC(2026, 2, 1, 12) + 137;

/** After it nothing is due any more. */
export const endMs = startMs + 6 * 3_600_000;

export async function createSchedulerGround(): Promise<SchedulerGround> {
  const database = await createControlDatabase();
  const url = await createRedisDatabase();
  const redis = new Redis(url);
  const clocks = await createTestClocks(database.url, redis, startMs);
  const namespace = await fetchInstallation(database.pool);
  const { logger: log, lines } = createKeptLogger();
  const openIndex = (): RedisIndex =>
    createRedisIndex({ address: parseRedisUrl(url), namespace, log, refillLeaseMs: 3_600_000 });
  const indexes = [openIndex(), openIndex(), openIndex()] as const;
  const key = (name: string): string => `{penstock}:${namespace}:${name}`;
  for (const index of indexes)
    await waitUntil('Redis answers', async () => {
      await index.check();
      return true;
    });

  const create = async (): Promise<SchedulerWorld> => {
    await database.pool.query('truncate penstock.tenant cascade');
    await redis.flushdb();
    await clocks.moveTo(startMs);
    await clocks.skewRedis(0);
    lines.length = 0;
    return createWorld({ database, redis, clocks, indexes, lines, log, key });
  };
  return {
    create,
    async close() {
      for (const index of indexes) index.close();
      redis.disconnect();
      await database.drop();
    },
  };
}

interface Ground {
  readonly database: ControlDatabase;
  readonly redis: Redis;
  readonly clocks: TestClocks;
  readonly indexes: readonly [RedisIndex, RedisIndex, RedisIndex];
  readonly lines: readonly string[];
  readonly log: DispatcherDeps['log'];
  readonly key: (name: string) => string;
}

async function createWorld(ground: Ground): Promise<SchedulerWorld> {
  const { database, clocks, indexes, log } = ground;
  const starter = createFakeRunStarter();
  const closed = new Set<string>();
  const wrongs: string[] = [];
  const state = { isRedisAway: false, isNewsLost: false, areCapsSoft: false, hasOrphans: false };
  /** As the index, but that it may be away. */
  const reachable = <T extends object>(index: T, isLost: () => boolean = () => false): T =>
    new Proxy(index, {
      get(target, name, receiver) {
        const member: unknown = Reflect.get(target, name, receiver);
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]) => {
          if (state.isRedisAway || isLost()) throw new PenstockError('UNAVAILABLE', 'Redis is away');
          return member.apply(target, args) as unknown;
        };
      },
    });
  const announcer = reachable<ScheduleIndex>(indexes[2], () => state.isNewsLost);
  const store = createControlStore({
    pool: database.pool,
    secretBox: createSecretBox([{ id: 'k1', key: Buffer.alloc(32, 1) }]),
    logger: log,
    announcer,
    starter,
  });
  const watched = {
    ...starter,
    start: async (run: RunToStart) => {
      const answer = await starter.start(run);
      if (answer === 'started' && run.dueAtMs > clocks.nowMs())
        wrongs.push(`run ${run.runId} was started ${run.dueAtMs - clocks.nowMs()} ms before its due time`);
      return answer;
    },
  };
  const close = (workflowId: string): void => {
    closed.add(workflowId);
    starter.close(workflowId);
  };
  const closeRun = (runId: RunId): Promise<void> =>
    asEngine(database.pool, async (tx) => {
      const status = (await fetchRunStatus(tx, runId)) as RunStatus;
      if (status === 'cancelling') await changeRun(tx, runId, 'settleCancel');
      else if (!isFinal(status)) await changeRun(tx, runId, 'fail', { errorCode: 'WORKFLOW_GONE' });
    });
  const dispatcherOver = (index: RedisIndex): SlowDispatcher =>
    createSlowDispatcher(() => ({
      index: reachable<ScheduleIndex>(index),
      store: createScheduleStore(database.pool),
      starter: watched,
      log,
      closeRun,
      options: { globalCap },
    }));
  const world: SchedulerWorld = Object.assign(state, {
    clocks,
    store,
    starter,
    wrongs,
    dispatchers: [dispatcherOver(indexes[0]), dispatcherOver(indexes[1])] as const,
    tenants: await addTenants(store),
    syncs: [],
    pauses: [],
    redis: ground.redis,
    database,
    key: ground.key,
    lines: ground.lines,
    open: () => starter.started.filter(({ workflowId }) => !closed.has(workflowId)),
    terminate: ({ workflowId }: RunToStart) => close(workflowId),
    async work({ runId, workflowId }: RunToStart, hearsOfRelease: boolean) {
      const ended = await asEngine(database.pool, async (tx) => {
        const status = (await fetchRunStatus(tx, runId)) as RunStatus;
        if (status === 'starting') return !(await changeRun(tx, runId, 'prepare'));
        if (status === 'running') return changeRun(tx, runId, 'succeed', { receipt });
        if (status === 'cancelling')
          return starter.cancelled.has(workflowId) && changeRun(tx, runId, 'settleCancel');
        return true;
      });
      if (!ended) return;
      close(workflowId);
      if (hearsOfRelease) await announcer.releaseRuns([runId]).catch(() => {});
    },
    /** Their estimates of Redis' clock are of before it was moved. */
    async settleClocks() {
      for (const index of indexes)
        await waitUntil('Redis tells its time', async () => (await index.claimDue(0)).syncIds.length === 0);
    },
  });
  await world.settleClocks();
  return world;
}

/** Two tenants: one of few places, one whose source starts two runs a minute. */
async function addTenants(store: ControlStore): Promise<(Scope & { tenantId: TenantId })[]> {
  const operator: Scope = { tenantId: null, apiKeyId: newId('apiKey') };
  const add = async (name: string, over: Parameters<typeof aConnection>[0], maxRuns: number) => {
    const { id } = await store.tenants.create(operator, { name, weight: 1, maxRuns });
    const scope = { tenantId: id, apiKeyId: newId('apiKey') };
    await store.connections.create(scope, aConnection(over));
    return scope;
  };
  return [await add('acme', {}, tenantCap), await add('globex', { maxRuns: 1, startsPerMinute: 4 }, 10)];
}

/** A new sync, or a changed one: its due times begin now. */
export function specOf(name: string, over: Partial<SyncSpecInput>) {
  return aSpec({
    name,
    destination: { connection: 'warehouse', table: `sync.${name.replace('-', '_')}` },
    ...over,
  });
}

/** The due times of an era, by the pure function. */
export function dueTimesOf({ schedule, fromMs, untilMs }: Era): number[] {
  const times: number[] = [];
  const parsed = specOf('x', { schedule }).schedule;
  for (let ms = nextDue(parsed, fromMs); ms !== null && ms <= (untilMs ?? Infinity); ms = nextDue(parsed, ms))
    times.push(ms);
  return times;
}

/** Ends the pause of a sync, or of a tenant. */
export async function resume(
  { pauses, store, tenants, syncs, clocks }: SchedulerWorld,
  of: string,
): Promise<void> {
  const tenant = tenants.find(({ tenantId }) => tenantId === of);
  if (tenant) await store.pauses.resume({ ...tenant, tenantId: null }, tenant.tenantId);
  const sync = syncs.find(({ id, isDeleted }) => id === of && !isDeleted);
  if (sync) await store.syncs.resume(sync.scope, sync.id);
  for (const each of pauses) if (each.of === of) each.untilMs ??= clocks.nowMs();
}

/** Keys that run out do so by Redis' own clock. */
export async function advance(
  { clocks, redis, key, settleClocks }: SchedulerWorld,
  ms: number,
): Promise<void> {
  await clocks.moveTo(clocks.nowMs() + ms);
  if (ms >= 5_000) await redis.del(key('refilling'));
  await settleClocks();
}
