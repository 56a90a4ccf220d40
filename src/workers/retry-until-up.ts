/** Waiting for a dependency that is away: with back-off, a line a minute, neither a crash loop nor silence. */
import { setTimeout as delay } from 'node:timers/promises';
import { hasCode } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

interface Waiting {
  /** What is waited for, for the log. */
  readonly what: string;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

const firstPauseMs = 250;
const longestPauseMs = 5_000;
const lineEveryMs = 60_000;

/**
 * Calls until it succeeds. Gives up only when the configuration is wrong (CONFIG), or when told to: then it throws the
 * signal's reason.
 */
export async function retryUntilUp<T>(
  { what, logger, signal }: Waiting,
  attempt: () => Promise<T>,
): Promise<T> {
  let saidAtMs = -Infinity;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal.throwIfAborted();
    try {
      const result = await attempt();
      if (saidAtMs > -Infinity) logger.info(`${what} answers`);
      return result;
    } catch (err) {
      if (hasCode(err, 'CONFIG')) throw err;
      if (performance.now() - saidAtMs >= lineEveryMs) {
        saidAtMs = performance.now();
        logger.warn({ err }, `${what} does not answer; trying again until it does`);
      }
    }
    await delay(pauseMs, undefined, { signal });
  }
}
