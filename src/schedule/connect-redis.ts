/**
 * Connections to Redis that never hang: a frozen or absent server is an error within a second, and the connection is
 * tried again with back-off for ever. A server that no longer serves us (demoted, or silent while somebody waits for an
 * answer) is left, and asked for anew: behind Sentinels or a name another one may have taken its place.
 */
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { PenstockError } from '../domain/errors.ts';
import type { RedisAddress } from '../domain/redis-address.ts';
import type { Logger } from '../telemetry/logger.ts';
import { createOutageLog, type OutageLog } from './outage-log.ts';
import { masterConnector, nodeConnector, type Unreached } from './redis-connectors.ts';

/** A command that has no answer by then has failed for its caller (the server may still run it, later). */
export const commandTimeoutMs = 1_000;
const connectTimeoutMs = 2_000;
/** A server that says nothing for so long while an answer is due is given up. */
const silenceMs = 3_000;

const backoffMs = (attempt: number): number => Math.min(2_000, 50 * 2 ** Math.min(attempt, 10));

export type RedisClient = Redis | Cluster;

export interface RedisConnection {
  readonly client: RedisClient;
  /** Hears what becomes of commands. */
  readonly outages: OutageLog;
  /** Resolves when the first attempt to connect has come to an end, or has taken too long. */
  readonly isSettled: Promise<void>;
  /** The server, or the Sentinel, that was not reached last; undefined once one serves. */
  readonly lastUnreached: () => Unreached | undefined;
}

interface ConnectOptions {
  readonly address: RedisAddress;
  /** What the connection is for, in log lines. */
  readonly purpose: string;
  readonly log: Logger;
}

/** Opens a connection; returns at once, whether the server is there or not. */
export function connectRedis({ address, purpose, log }: ConnectOptions): RedisConnection {
  let unreached: Unreached | undefined;
  const hear = (one: Unreached): void => void (unreached = one);
  const client = address.kind === 'cluster' ? openCluster(address, hear) : openRedis(address, hear);
  const outages = createOutageLog(purpose, log);
  client.on('ready', () => {
    unreached = undefined;
    outages.noteSuccess('connection');
  });
  client.on('error', (error: Error) => {
    // Of several nodes or Sentinels it says no more by itself than that it reached none.
    if (unreached && unreached.error !== error) error.cause ??= unreached.error;
    outages.noteFailure('connection', error);
  });
  // Not `close`, which is said of a connection that is ended on purpose as well.
  client.on('reconnecting', () => outages.noteFailure('connection'));
  const isSettled = new Promise<void>((resolve) => {
    for (const event of ['ready', 'error', 'end']) client.once(event, () => resolve());
    // One that is loading its data says nothing.
    setTimeout(resolve, connectTimeoutMs).unref();
  });
  return { client, outages, isSettled, lastUnreached: () => unreached };
}

/** What each connection to a server is like. */
function nodeOptions({ login, tls }: RedisAddress) {
  return {
    ...login,
    ...(tls && { tls }),
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    socketTimeout: silenceMs,
    autoResendUnfulfilledCommands: false,
    // Not among the rights that we ask for.
    disableClientInfo: true,
    maxRetriesPerRequest: 0,
    reconnectOnError: (error) => /READONLY|MASTERDOWN/.test(error.message),
  } satisfies RedisOptions;
}

type Hear = (unreached: Unreached) => void;

function openRedis(address: RedisAddress, hear: Hear): Redis {
  const { kind, nodes, master, database, tls, sentinelLogin } = address;
  const common = {
    ...nodeOptions(address),
    db: database,
    enableOfflineQueue: false,
    retryStrategy: backoffMs,
  };
  if (kind === 'single') return new Redis({ ...common, ...nodes[0]!, Connector: nodeConnector(hear) });
  return new Redis({
    ...common,
    Connector: masterConnector(hear),
    sentinels: [...nodes],
    ...(master !== undefined && { name: master }),
    ...(sentinelLogin.username !== undefined && { sentinelUsername: sentinelLogin.username }),
    ...(sentinelLogin.password !== undefined && { sentinelPassword: sentinelLogin.password }),
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinelCommandTimeout: commandTimeoutMs,
    sentinelRetryStrategy: backoffMs,
  });
}

/** All keys lie in one slot, so that one node does the work; the others say where that slot is. */
function openCluster(address: RedisAddress, hear: Hear): Cluster {
  return new Cluster([...address.nodes], {
    redisOptions: {
      ...nodeOptions(address),
      Connector: nodeConnector(hear),
    },
    clusterRetryStrategy: backoffMs,
    enableOfflineQueue: false,
    // Redirections and waits of a moment are followed, for about as long as a command may take.
    maxRedirections: 8,
    // A certificate names hosts, not the addresses they resolve to.
    dnsLookup: (host, callback) => callback(null, host),
  });
}

const reasons = [
  [/OOM command/, 'Redis is full (maxmemory) and takes no writes: give it more memory'],
  [/READONLY|MASTERDOWN/, 'Redis is a replica and takes no writes: name its master, or its Sentinels'],
  [/LOADING/, 'Redis is still loading its data'],
  [
    /NOPERM|can't run this command|ACL failure|NOAUTH|WRONGPASS/,
    'Redis refuses this user: `penstock doctor` says what it needs',
  ],
  [/CLUSTERDOWN|CROSSSLOT|TRYAGAIN/, 'the Redis cluster does not serve our slot now'],
] as const;

/** What callers see of a failed command. */
export function unavailable(cause: unknown): PenstockError {
  const text = cause instanceof Error ? cause.message : '';
  const reason = reasons.find(([pattern]) => pattern.test(text))?.[1] ?? 'Redis did not answer';
  return new PenstockError('UNAVAILABLE', `${reason}; what it holds is written again from the rows.`, {
    cause,
    meta: { server: 'redis' },
  });
}
