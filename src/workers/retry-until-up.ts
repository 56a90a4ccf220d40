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

/** How to close what an attempt opened that nobody waited for any more. */
type Discard<T> = (late: T) => Promise<unknown>;

const firstPauseMs = 250;
const longestPauseMs = 5_000;
const lineEveryMs = 60_000;

/**
 * Calls until it succeeds. Gives up only when the configuration is wrong (CONFIG), or when told to: then it throws the
 * signal's reason at once, and `discard` gets what the attempt under way brings.
 */
export async function retryUntilUp<T>(
  { what, logger, signal }: Waiting,
  attempt: () => Promise<T>,
  discard: Discard<T> = async () => {},
): Promise<T> {
  let saidAtMs = -Infinity;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    signal.throwIfAborted();
    try {
      const result = await unlessAborted(signal, attempt(), discard);
      if (saidAtMs > -Infinity) logger.info(`${what} answers`);
      return result;
    } catch (err) {
      if (hasCode(err, 'CONFIG') || signal.aborted) throw err;
      if (performance.now() - saidAtMs >= lineEveryMs) {
        saidAtMs = performance.now();
        logger.warn({ err }, `${what} does not answer; trying again until it does`);
      }
    }
    await delay(pauseMs, undefined, { signal });
  }
}

/** The work's result, or the signal's reason, whichever is first. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>, discard: Discard<T>): Promise<T> {
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } catch (err) {
    // Settled already unless the signal was first.
    if (signal.aborted) void work.then(discard).catch(() => undefined);
    throw err;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
