/** A control database, a Redis database and a fake engine, with what the scheduler's tests plant and look for. */
import { Redis } from 'ioredis';
import type { Pool } from 'pg';
import { parseRedisUrl } from '../../src/config/redis-url.ts';
import { newId, type ConnectionId, type RunId, type SyncId, type TenantId } from '../../src/domain/ids.ts';
import { nextDue } from '../../src/domain/schedule.ts';
import { syncSpecSchema, type SyncSpec, type SyncSpecInput } from '../../src/domain/sync-spec.ts';
import type { ScheduleIndex } from '../../src/ports/schedule-index.ts';
import type { RefillStore, ScheduleStore, SweepStore } from '../../src/ports/schedule-store.ts';
import {
  createDispatcher,
  type Dispatcher,
  type DispatcherDeps,
  type DispatcherOptions,
} from '../../src/schedule/dispatcher.ts';
import { createRedisIndex, type RedisIndex } from '../../src/schedule/redis-index.ts';
import { fetchInstallation } from '../../src/storage/installation.ts';
import { changeRuns } from '../../src/storage/run-status.ts';
import { createScheduleStore } from '../../src/storage/schedule-store.ts';
import { asEngine } from '../../src/storage/transaction.ts';
import { createControlDatabase, type ControlDatabase } from './control-database.ts';
import { createFakeRunStarter, type FakeRunStarter } from './fake-run-starter.ts';
import { createKeptLogger } from './kept-logger.ts';
import { createRedisDatabase } from './stack.ts';
import { waitUntil } from './wait-until.ts';

type Store = ScheduleStore & SweepStore & RefillStore;

/** Short leases, so that a test sees them run out. */
const quickLeases = { claimLeaseMs: 1_000, ticketMs: 1_000, refillLeaseMs: 1_000 };
const dayMs = 86_400_000;
/** For what holds only while none runs out, however busy the machine is. */
export const lastingLeases = { claimLeaseMs: dayMs, ticketMs: dayMs, refillLeaseMs: dayMs };
export const quickSweeps = {
  lookEveryMs: 100,
  sweepEveryMs: 200,
  overdueMs: 300,
  ticketMs: 1_000,
  silentMs: 1_000,
  compareEveryMs: 200,
};

export interface SchedulerRoom {
  readonly pool: Pool;
  readonly redisUrl: string;
  /** For looking into Redis, and for flushing it. */
  readonly redis: Redis;
  /** Name of a key, behind the namespace of this room's database. */
  readonly key: (name: string) => string;
  readonly store: Store;
  readonly starter: FakeRunStarter;
  readonly lines: string[];
  readonly deps: (over?: Partial<DispatcherDeps>) => DispatcherDeps;
  /** On the room's Redis, unless on another one; it logs to the room's lines, unless elsewhere. */
  readonly openIndex: (
    leases?: Partial<typeof quickLeases>,
    url?: string,
    logger?: DispatcherDeps['log'],
  ) => Promise<RedisIndex>;
  readonly startDispatcher: (over?: Partial<DispatcherDeps>) => Promise<Dispatcher>;
  /** Until a dispatcher hears what is said to all of them: what is said before is lost. */
  readonly untilHeard: () => Promise<void>;
  /** Until the index has been written from the rows. */
  readonly untilFilled: () => Promise<void>;
  /** Removes all rows and keys; ends the dispatchers. */
  readonly clear: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** @param given of somebody else, who drops it: the control database */
export async function createSchedulerRoom(
  givenRedisUrl?: string,
  given?: ControlDatabase,
): Promise<SchedulerRoom> {
  const database = given ?? (await createControlDatabase());
  const redisUrl = givenRedisUrl ?? (await createRedisDatabase());
  const redis = new Redis(redisUrl);
  const namespace = await fetchInstallation(database.pool);
  const keyOf = (name: string): string => `{penstock}:${namespace}:${name}`;
  const { logger: log, lines } = createKeptLogger();
  const store = createScheduleStore(database.pool);
  let starter = createFakeRunStarter();
  const indexes: RedisIndex[] = [];
  const dispatcherIndexes: RedisIndex[] = [];
  const dispatchers: Dispatcher[] = [];

  const openIndex: SchedulerRoom['openIndex'] = async (leases = {}, url = redisUrl, logger = log) => {
    const index = createRedisIndex({
      address: parseRedisUrl(url),
      namespace,
      log: logger,
      ...quickLeases,
      ...leases,
      lookEveryMs: 100,
    });
    indexes.push(index);
    await waitUntil('Redis answers', async () => {
      await index.check();
      return true;
    });
    return index;
  };
  const options: DispatcherOptions = { globalCap: 1_000, ...quickSweeps };
  let shared: ScheduleIndex | undefined;
  const deps: SchedulerRoom['deps'] = (over = {}) => ({
    index: shared!,
    store,
    starter,
    log,
    options,
    ...over,
  });
  shared = await openIndex();
  const stopAll = async (): Promise<void> => {
    await Promise.all(dispatchers.splice(0).map((dispatcher) => dispatcher.stop()));
    for (const index of dispatcherIndexes.splice(0)) index.close();
  };
  return {
    pool: database.pool,
    redisUrl,
    redis,
    key: keyOf,
    store,
    get starter() {
      return starter;
    },
    lines,
    deps,
    openIndex,
    async startDispatcher(over = {}) {
      const index = over.index ?? (await openIndex());
      const dispatcher = createDispatcher(deps({ ...over, index }));
      dispatchers.push(dispatcher);
      if (!over.index) dispatcherIndexes.push(indexes.pop()!);
      await dispatcher.start();
      return dispatcher;
    },
    untilHeard: () =>
      waitUntil('a dispatcher listens', async () => {
        const [, listeners] = await redis.pubsub('NUMSUB', keyOf('wake'));
        return Number(listeners) > 0;
      }),
    untilFilled: () =>
      waitUntil('the index is full', async () => (await redis.get(keyOf('filled'))) === 'all'),
    async clear() {
      await stopAll();
      await database.pool.query('truncate penstock.tenant, penstock.event cascade');
      await redis.flushdb();
      starter = createFakeRunStarter();
      lines.length = 0;
    },
    async close() {
      await stopAll();
      indexes.forEach((index) => index.close());
      redis.disconnect();
      if (!given) await database.drop();
    },
  };
}

export interface PlantedSyncs {
  readonly tenantId: TenantId;
  readonly connectionId: ConnectionId;
  readonly syncIds: readonly SyncId[];
  readonly spec: SyncSpec;
  /** The first fire time that has no slot, of all of them. */
  readonly firstMs: number | null;
}

interface Planting {
  readonly count?: number;
  readonly schedule: SyncSpecInput['schedule'];
  /** Since when nobody has looked at them: due times since then have no slot. */
  readonly sinceMs?: number;
  readonly spec?: Partial<SyncSpecInput>;
  readonly weight?: number;
  /** Of the tenant, and of the connection that its syncs read from; by default nothing but the global cap bounds it. */
  readonly maxRuns?: number;
  readonly connection?: { readonly maxRuns?: number; readonly startsPerMinute?: number };
}

/** Now, by the control database's clock. */
export async function fetchNowMs(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ ms: number }>(
    'select floor(extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
  );
  return rows[0]!.ms;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;

/** Fire times that lie half a period off now, so that the clock passes none while a test counts them. */
const halfOff = (every: string, periodMs: number) => (nowMs: number) => ({
  every,
  startAt: new Date(nowMs - 25 * hourMs - periodMs / 2).toISOString(),
});

/** The latest fire time is half a minute ago. */
export const everyMinute = halfOff('1m', minuteMs);
/** The latest fire time is half an hour ago. */
export const everyHour = halfOff('1h', hourMs);

/** Writes a tenant with syncs of one spec, as the API would have, some time ago. */
export async function plantSyncs(pool: Pool, planting: Planting): Promise<PlantedSyncs> {
  const { count = 1, schedule, spec: over = {}, weight = 1, connection = {} } = planting;
  const unbounded = 100_000;
  const [tenantId, connectionId] = [newId('tenant'), newId('connection')];
  const spec = syncSpecSchema.parse({
    name: 'subscribers',
    source: { connection: connectionId, query: 'select 1' },
    destination: { connection: connectionId, table: 'subscribers' },
    mode: 'append',
    ...over,
    schedule,
  });
  const firstMs = nextDue(spec.schedule, planting.sinceMs ?? (await fetchNowMs(pool)));
  const first = firstMs === null ? null : new Date(firstMs).toISOString();
  const syncIds = Array.from({ length: count }, () => newId('sync'));
  await pool.query('insert into penstock.tenant (id, name, weight, max_runs) values ($1, $2, $3, $4)', [
    tenantId,
    `t-${tenantId.slice(4)}`,
    weight,
    planting.maxRuns ?? unbounded,
  ]);
  await pool.query(
    `insert into penstock.connection (id, tenant_id, name, kind, max_runs, starts_per_minute)
     values ($1, $2, 'warehouse', 'postgres', $3, $4)`,
    [connectionId, tenantId, connection.maxRuns ?? unbounded, connection.startsPerMinute ?? null],
  );
  await pool.query(
    `insert into penstock.sync (id, tenant_id, name, source_connection_id, destination_connection_id, next_nominal_at,
       next_due_at)
     select id, $2, 's-' || n, $3, $3, $4, $4 from unnest($1::text[]) with ordinality ids (id, n)`,
    [syncIds, tenantId, connectionId, first],
  );
  await pool.query(
    `insert into penstock.sync_version (sync_id, version, tenant_id, spec)
     select id, 1, $2, $3 from unnest($1::text[]) id`,
    [syncIds, tenantId, spec],
  );
  return { tenantId, connectionId, syncIds, spec, firstMs };
}

/** Writes syncs of each of which one due time has passed unseen, half an hour ago. */
export async function plantDue(pool: Pool, planting: Partial<Planting> = {}): Promise<PlantedSyncs> {
  const now = await fetchNowMs(pool);
  return plantSyncs(pool, { schedule: everyHour(now), sinceMs: now - hourMs, ...planting });
}

/** Ends runs as their workflows would, and frees their places. */
export async function endRuns(
  room: SchedulerRoom,
  index: ScheduleIndex,
  runIds: readonly RunId[],
): Promise<void> {
  await asEngine(room.pool, (tx) => changeRuns(tx, runIds, 'settleCancel'));
  await index.releaseRuns(runIds);
}

interface SlotRow {
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: string | null;
}

/**
 * The oracle of P8: walks every fire time of a sync from the first to the next one planned, and finds each in exactly
 * one slot row. Throws on the first that is not.
 * @returns how many fire times ended how; `run` for those with a run
 */
export async function auditSlots(
  pool: Pool,
  syncId: SyncId,
  firstMs: number,
): Promise<Record<string, number>> {
  const sync = await pool.query<{ spec: SyncSpec; nextMs: number | null }>(
    `select v.spec, (extract(epoch from s.next_nominal_at) * 1000)::float8 as "nextMs"
     from penstock.sync s join penstock.sync_version v on v.sync_id = s.id and v.version = s.version where s.id = $1`,
    [syncId],
  );
  const { rows } = await pool.query<SlotRow>(
    `select (extract(epoch from nominal_at) * 1000)::float8 as "fromMs",
       (extract(epoch from nominal_to) * 1000)::float8 as "toMs", outcome
     from penstock.slot where sync_id = $1 order by nominal_at`,
    [syncId],
  );
  const { spec, nextMs } = sync.rows[0]!;
  const counts: Record<string, number> = {};
  const slots = rows.values();
  let slot = slots.next().value;
  for (
    let ms: number | null = firstMs;
    ms !== null && ms < (nextMs ?? Infinity);
    ms = nextDue(spec.schedule, ms)
  ) {
    if (!slot || ms < slot.fromMs) throw new Error(`${syncId}: ${new Date(ms).toISOString()} has no slot`);
    const name = slot.outcome ?? 'run';
    counts[name] = (counts[name] ?? 0) + 1;
    if (ms > slot.toMs) throw new Error(`${syncId}: a slot ends where no fire time is: ${slot.toMs}`);
    if (ms === slot.toMs) slot = slots.next().value;
  }
  if (slot)
    throw new Error(`${syncId}: ${new Date(slot.fromMs).toISOString()} has a slot and is no fire time`);
  return counts;
}
