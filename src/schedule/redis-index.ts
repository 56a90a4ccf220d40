/**
 * The schedule index on Redis sorted sets. Each method is one Lua file of commands/, idempotent and guarded, because a
 * call that timed out may still be carried out later; claims and admissions carry a deadline after which they do nothing.
 */
import { PenstockError } from '../domain/errors.ts';
import type { IndexFacts } from '../domain/explain-run.ts';
import type { RunId, SyncId } from '../domain/ids.ts';
import type { RedisAddress } from '../domain/redis-address.ts';
import type {
  Filled,
  IndexComparison,
  IndexDrift,
  RunOffer,
  ScheduleIndex,
  Wake,
} from '../ports/schedule-index.ts';
import type { Logger } from '../telemetry/logger.ts';
import { commandTimeoutMs, connectRedis, unavailable, type RedisConnection } from './connect-redis.ts';
import { bindCommands, type CommandName } from './redis-commands.ts';
import { defaultLookEveryMs, defaultTicketMs } from './timings.ts';

export interface RedisIndexOptions {
  readonly address: RedisAddress;
  /** Names the control database (src/storage/installation.ts): another one's keys are never seen. */
  readonly namespace: string;
  readonly log: Logger;
  /** How long a claimed sync is lent. */
  readonly claimLeaseMs?: number;
  /** How long a ticket is good. */
  readonly ticketMs?: number;
  /** How long a dispatcher may take for one page of a refill; a dead one delays admission by as much. */
  readonly refillLeaseMs?: number;
  /** A dispatcher looks at least this often; what is due sooner wakes it. */
  readonly lookEveryMs?: number;
}

/** Defaults of the leases, ms. */
const defaultClaimLeaseMs = 30_000;
const defaultRefillLeaseMs = 5_000;

/** How often a connection that only listens is heard. */
const pingEveryMs = 5_000;

/** Entries a call: Redis serves nobody else meanwhile. */
const chunkSize = 200;

/** An index with its connections; `close` ends them. */
export type RedisIndex = ScheduleIndex & { close(): void };

/** Lua says -1 where there is nothing. */
const orNull = (value: number): number | null => (value < 0 ? null : value);

type ExplainReply = [
  state: IndexFacts['state'],
  position: number,
  inMs: number,
  cools: number,
  held: number,
  cap: number,
  tenantHeld: number,
  tenantCap: number,
  connectionHeld: number,
  connectionCap: number,
  msAgo: number,
];
type AdmitReply = [nowMs: number, marker: string, token: number, more: number, waitMs: number, ...RunId[]];

type CompareReply = [size: number, ...pairs: string[]];

const driftedOf = ([, ...pairs]: CompareReply): IndexComparison['drifted'] =>
  Array.from({ length: pairs.length / 2 }, (_, n) => ({
    syncId: pairs[2 * n] as SyncId,
    drift: pairs[2 * n + 1] as IndexDrift,
  }));

/** Connects in the background: methods reject with UNAVAILABLE until Redis answers. */
export function createRedisIndex(options: RedisIndexOptions): RedisIndex {
  const { address, namespace, log } = options;
  const { ticketMs = defaultTicketMs, claimLeaseMs = defaultClaimLeaseMs } = options;
  const { refillLeaseMs = defaultRefillLeaseMs } = options;
  const { client, outages, isSettled } = connectRedis({ address, purpose: 'index', log });
  const { run: command, keys } = bindCommands(client, namespace);
  let subscriber: RedisConnection['client'] | undefined;
  let isClosed = false;

  const run = async (name: CommandName, args: readonly (string | number)[]): Promise<unknown> => {
    try {
      const reply = await command(name, args);
      outages.noteSuccess(name);
      return reply;
    } catch (error) {
      if (!isClosed) outages.noteFailure(name, error);
      throw unavailable(error);
    }
  };
  const probe = async (): Promise<[nowMs: number, policy: string]> =>
    (await run('probe', [])) as [number, string];
  const clock = redisClock(async () => (await probe())[0]);
  const chunked = async <T>(
    name: CommandName,
    items: readonly T[],
    argsOf: (item: T) => readonly (string | number)[],
    before: readonly (string | number)[] = [],
  ): Promise<unknown[]> => {
    const chunks = Array.from({ length: Math.ceil(items.length / chunkSize) }, (_, n) =>
      items.slice(n * chunkSize, (n + 1) * chunkSize),
    );
    return Promise.all(chunks.map((chunk) => run(name, [...before, ...chunk.flatMap(argsOf)])));
  };
  const runChunks = async <T>(...how: Parameters<typeof chunked<T>>): Promise<void> =>
    void (await chunked(...how));
  const offerArgs = (r: RunOffer): (string | number)[] => [
    r.runId,
    r.tenantId,
    r.syncId,
    r.connectionId,
    r.score,
  ];

  return {
    publishDue: (entries) =>
      runChunks('publishDue', entries, (e) => [e.syncId, e.version, e.nextDueAtMs ?? ''], [
        options.lookEveryMs ?? defaultLookEveryMs,
      ]),
    offerRuns: (runs) => runChunks('offerRuns', runs, offerArgs),
    releaseRuns: (runIds) => runChunks('releaseRuns', runIds, (id) => [id]),
    saveLimits: async ({ tenants = [], connections = [] }) => {
      await runChunks('saveTenants', tenants, (t) => [t.tenantId, t.version, t.weight, t.maxRuns]);
      await runChunks('saveConnections', connections, (c) => [
        c.connectionId,
        c.version,
        c.maxRuns,
        c.startGapMs,
        c.coolMs,
      ]);
    },

    async claimDue(limit) {
      const reply = await run('claimDue', [limit, claimLeaseMs, await clock.deadlineMs()]);
      const [nowMs, token, nextInMs, ...syncIds] = reply as [number, number, number, ...SyncId[]];
      clock.observe(nowMs);
      return { syncIds, token, nextInMs: orNull(nextInMs) };
    },
    postponeDue: (token, looks) =>
      runChunks('postponeDue', looks, (look) => [look.syncId, look.inMs ?? ''], [token]),

    async admit({ limit, cap }) {
      const reply = await run('admit', [limit, cap, ticketMs, await clock.deadlineMs()]);
      const [nowMs, marker, token, more, waitMs, ...runIds] = reply as AdmitReply;
      clock.observe(nowMs);
      const filled = (marker === '' ? 'nothing' : marker) as Filled;
      const tickets = runIds.map((runId) => ({ runId, token }));
      return { filled, tickets, isMore: more === 1, nextInMs: orNull(waitMs) };
    },
    confirmStarts: (tickets) => runChunks('confirmStarts', tickets, (t) => [t.runId, t.token]),
    returnTickets: (tickets) => runChunks('returnTickets', tickets, (t) => [t.runId, t.token, t.next]),

    async explainRun({ runId, tenantId, connectionId }) {
      const reply = (await run('explainRun', [runId, tenantId, connectionId])) as ExplainReply;
      const [state, position, inMs, cools, held, cap, ...rest] = reply;
      const [tenantHeld, tenantCap, connectionHeld, connectionCap, msAgo] = rest;
      return {
        state,
        position: orNull(position),
        inMs: orNull(inMs),
        isCooling: cools === 1,
        all: cap < 0 ? null : { held, cap },
        tenant: { held: tenantHeld, cap: tenantCap },
        connection: { held: connectionHeld, cap: connectionCap },
        admittedMsAgo: orNull(msAgo),
      };
    },

    async check() {
      // The first connection is under way: neither is Redis away, nor does it answer yet.
      await isSettled;
      const [, policy] = await probe();
      refuseEviction(policy);
    },
    beginRefill: async (token, { again }) =>
      (await run('beginRefill', [token, refillLeaseMs, again ? 'again' : ''])) === 1,
    advanceRefill: async (token, filled) =>
      (await run('advanceRefill', [token, refillLeaseMs, filled ?? ''])) === 1,
    async compareDue(entries, { note }) {
      const replies = await chunked(
        'compareDue',
        entries,
        (e) => [e.syncId, e.version, e.nextDueAtMs ?? '', e.inMs],
        [claimLeaseMs, note ? 'note' : ''],
      );
      const parts = replies as CompareReply[];
      return { size: parts[0]?.[0] ?? 0, drifted: parts.flatMap(driftedOf) };
    },
    async fetchDrift() {
      const [missing, late] = (await run('fetchDrift', [])) as [number, number];
      return { missing, late };
    },
    findStrays: async (runs) => {
      const replies = (await chunked('findStrays', runs, offerArgs)) as RunId[][];
      return replies.flat();
    },
    fetchPlaces: async () => (await run('fetchPlaces', [])) as RunId[],
    holdPlaces: (runs) => runChunks('holdPlaces', runs, offerArgs),
    freePlaces: (runIds) => runChunks('freePlaces', runIds, (id) => [id]),
    unparkRuns: async () => void (await run('unparkRuns', [])),

    onWake(listener) {
      subscriber ??= subscribeTo(keys.wake, connectRedis({ address, purpose: 'wake-ups', log }));
      const listen = (_channel: string, wake: string): void => listener(wake as Wake);
      subscriber.on('message', listen);
      return () => void subscriber?.off('message', listen);
    },
    close() {
      isClosed = true;
      client.disconnect();
      subscriber?.disconnect();
    },
  };
}

/** Keys that vanish by themselves would lose schedules until a sweep notices. A server that names no policy has none. */
function refuseEviction(policy: string): void {
  if (policy === '' || policy === 'noeviction') return;
  throw new PenstockError(
    'CONFIG',
    `Redis evicts keys (maxmemory-policy ${policy}) and would drop schedules; set it to noeviction.`,
  );
}

/** Subscribes whenever a connection stands, and notices when one is dead: nobody else waits for an answer on it. */
function subscribeTo(channel: string, { client, outages }: RedisConnection): RedisConnection['client'] {
  let pinging: NodeJS.Timeout | undefined;
  client.on('ready', () => {
    client.subscribe(channel).then(
      () => outages.noteSuccess('subscribe'),
      (error: unknown) => {
        outages.noteFailure('subscribe', error);
        // Ended on purpose, or to be connected and subscribed once more.
        if (client.status === 'ready') client.disconnect(true);
      },
    );
    clearInterval(pinging);
    pinging = setInterval(() => void client.ping().catch(() => {}), pingEveryMs).unref();
  });
  client.on('end', () => clearInterval(pinging));
  return client;
}

/**
 * Redis' clock as seen from here, so that a call can say until when somebody waits for it: a frozen server carries out
 * on waking what its callers have long given up, and a claim that nobody holds would delay its syncs by a lease.
 */
function redisClock(fetchNowMs: () => Promise<number>): {
  observe(redisMs: number): void;
  deadlineMs(): Promise<number>;
} {
  let aheadMs: number | undefined;
  const observe = (redisMs: number): void => {
    aheadMs = redisMs - performance.now();
  };
  return {
    observe,
    async deadlineMs() {
      if (aheadMs === undefined) observe(await fetchNowMs());
      return Math.round(performance.now() + aheadMs! + commandTimeoutMs);
    },
  };
}
