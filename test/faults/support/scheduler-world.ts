/**
 * The scheduler's world for random faults: users, two dispatchers in slow motion, workers and an engine, over real Postgres
 * and Redis whose clocks stand still until they are moved. Remembers what was asked for, for the oracle.
 */
import type { Redis } from 'ioredis';
import type { RunId, SyncId, TenantId } from '../../../src/domain/ids.ts';
import type { SyncSpecInput } from '../../../src/domain/sync-spec.ts';
import { PenstockError } from '../../../src/domain/errors.ts';
import { isFinal, type RunStatus } from '../../../src/domain/run-states.ts';
import { nextDue } from '../../../src/domain/schedule.ts';
import type { ControlStore } from '../../../src/ports/control-store.ts';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import type { ScheduleIndex } from '../../../src/ports/schedule-index.ts';
import type { RedisIndex } from '../../../src/schedule/redis-index.ts';
import { createControlStore } from '../../../src/storage/control-store.ts';
import { changeRun, fetchRunStatus } from '../../../src/storage/run-status.ts';
import { createSecretBox } from '../../../src/storage/secret-box.ts';
import { asEngine } from '../../../src/storage/transaction.ts';
import { aSpec } from '../../support/control-fixture.ts';
import type { ControlDatabase } from '../../support/control-database.ts';
import { createFakeRunStarter } from '../../support/fake-run-starter.ts';
import { aReceipt } from '../../support/plant-run.ts';
import type { TestClocks } from '../../support/test-clocks.ts';
import { waitUntil } from '../../support/wait-until.ts';
import type { WorldEngine } from './scheduler-engine.ts';
import { startMs, type SchedulerGround } from './scheduler-ground.ts';
import { addTenants, globalCap, type TenantScope } from './scheduler-tenants.ts';
import { watchStore } from './scheduler-watch.ts';
import { createSlowDispatcher, type SlowDispatcher } from './slow-dispatcher.ts';

/** What a sync was, from one instant up to another; null: still. */
export interface Era {
  readonly schedule: SyncSpecInput['schedule'];
  readonly fromMs: number;
  untilMs: number | null;
}

export interface KnownSync {
  readonly id: SyncId;
  readonly scope: TenantScope;
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
  readonly starter: WorldEngine;
  readonly dispatchers: readonly [SlowDispatcher, SlowDispatcher];
  readonly tenants: readonly TenantScope[];
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
  /** Nothing is ever lost here, no dispatcher dies, and all clocks agree. */
  readonly isCalm: boolean;
  /** Redis has lost something: caps are soft until it is at rest. */
  areCapsSoft: boolean;
  /** Redis has lost single keys, which it does under no policy that is accepted: what it knew by others may be left. */
  hasOrphans: boolean;
  /** What was seen to be wrong on the way. */
  readonly wrongs: string[];
  readonly open: () => readonly RunToStart[];
  /** A worker takes a run one status on. */
  readonly work: (run: RunToStart, hearsOfRelease: boolean) => Promise<void>;
  readonly terminate: (run: RunToStart) => Promise<void>;
  readonly settleClocks: () => Promise<void>;
}

/** After it nothing is due any more. */
export const endMs = startMs + 6 * 3_600_000;

export async function createWorld(
  ground: SchedulerGround,
  { isCalm = false, starter = createFakeRunStarter() }: { isCalm?: boolean; starter?: WorldEngine } = {},
): Promise<SchedulerWorld> {
  await ground.clear();
  const { database, clocks, indexes, log } = ground;
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
  const close = async (workflowId: string): Promise<void> => {
    closed.add(workflowId);
    await starter.close(workflowId);
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
      store: watchStore(database, wrongs),
      starter: watched,
      log,
      closeRun,
      options: { globalCap },
    }));
  const world: SchedulerWorld = Object.assign(state, {
    isCalm,
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
        if (status === 'running') return changeRun(tx, runId, 'succeed', { receipt: aReceipt() });
        if (status === 'cancelling')
          return starter.cancelled.has(workflowId) && changeRun(tx, runId, 'settleCancel');
        return true;
      });
      if (!ended) return;
      await close(workflowId);
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
  if (redis.status !== 'ready') return;
  if (ms >= 5_000) await redis.del(key('refilling'));
  await settleClocks();
}

/** Runs that are not final. */
export async function countOpen({ database }: SchedulerWorld): Promise<number> {
  const { rows } = await database.pool.query<{ n: number }>(
    'select count(*)::int as n from penstock.run where ended_at is null',
  );
  return rows[0]!.n;
}
