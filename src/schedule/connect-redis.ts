/**
 * Connections to Redis that never hang: a frozen or absent server is an error within a second, and the connection is
 * tried again with back-off for ever. One log line per change of state, not one per failure.
 */
import { Redis } from 'ioredis';
import { PenstockError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** A command that has no answer by then has failed for its caller (the server may still run it, later). */
export const commandTimeoutMs = 1_000;

const backoffMs = (attempt: number): number => Math.min(2_000, 50 * 2 ** Math.min(attempt, 10));

interface ConnectOptions {
  /** redis:// or rediss://, with credentials and database number. */
  readonly url: string;
  /** What the connection is for, in log lines. */
  readonly purpose: string;
  readonly log: Logger;
}

/** Opens a connection; returns at once, whether the server is there or not. */
export function connectRedis({ url, purpose, log }: ConnectOptions): Redis {
  const redis = new Redis(url, {
    connectTimeout: 2_000,
    commandTimeout: commandTimeoutMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: backoffMs,
  });
  let state: 'unknown' | 'up' | 'down' = 'unknown';
  const become = (next: 'up' | 'down', error?: Error): void => {
    if (state === next) return;
    if (next === 'down') log.warn({ purpose, error }, 'redis: not reachable, trying again');
    else log.info({ purpose }, state === 'unknown' ? 'redis: connected' : 'redis: reachable again');
    state = next;
  };
  redis.on('ready', () => become('up'));
  redis.on('error', (error) => become('down', error));
  // Not `close`, which is said of a connection that is ended on purpose as well.
  redis.on('reconnecting', () => become('down'));
  return redis;
}

/** What callers see of a failed command. */
export const unavailable = (cause: unknown): PenstockError =>
  new PenstockError('UNAVAILABLE', 'Redis did not answer; what it holds is written again from the rows.', {
    cause,
  });
