/** A step done over and over: soon when woken, at the latest when it asked for, later and later while it fails. */
import { codeOf } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import { isTold } from './outage-log.ts';

interface LoopOptions {
  /** In log lines. */
  readonly name: string;
  /** Does one step and says how many ms may pass until the next; 0: it goes on at once, there is more. */
  readonly step: () => Promise<number>;
  /** Least ms between two steps, whoever wakes it, so that what comes one by one is done in batches. Default 0. */
  readonly restMs?: number;
  readonly log: Logger;
}

export interface Loop {
  /** Ends the wait; during a step: the next one follows at once. */
  wake(): void;
  /** No further step begins; resolves when the one in hand has ended. */
  stop(): Promise<void>;
}

const leastBackoffMs = 100;
const mostBackoffMs = 5_000;
const repeatLineMs = 60_000;

/**
 * Starts the loop with a step at once. A step that throws is done again, and logged (then once a minute; not where Redis is
 * away, of which its outage log tells).
 */
export function startLoop({ name, step, restMs = 0, log }: LoopOptions): Loop {
  const pause = createPause();
  const stopping = new AbortController();
  let failures = 0;
  let loggedAtMs = -Infinity;

  const noteFailure = (error: unknown): number => {
    failures += 1;
    if (!isTold(error) && performance.now() - loggedAtMs >= repeatLineMs) {
      loggedAtMs = performance.now();
      log.warn({ loop: name, error, code: codeOf(error), failures }, `${name}: a step failed, trying again`);
    }
    return Math.min(mostBackoffMs, leastBackoffMs * 2 ** Math.min(failures - 1, 10));
  };
  const noteSuccess = (): void => {
    if (loggedAtMs > -Infinity) log.info({ loop: name, failures }, `${name}: works again`);
    failures = 0;
    loggedAtMs = -Infinity;
  };
  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      let waitMs;
      try {
        waitMs = await step();
        noteSuccess();
      } catch (error) {
        waitMs = noteFailure(error);
      }
      if (waitMs <= 0) continue;
      if (restMs > 0) await new Promise((resolve) => setTimeout(resolve, restMs));
      if (!stopping.signal.aborted) await pause.wait(waitMs - restMs, { isDeaf: failures > 0 });
    }
  };
  const ended = run();
  return {
    wake: () => pause.end(),
    stop: () => {
      stopping.abort();
      pause.end({ always: true });
      return ended;
    },
  };
}

/** A wait that a wake-up ends; a deaf one (back-off) only ends early to stop. */
function createPause() {
  let wasWoken = false;
  let finish: (() => void) | undefined;
  let isDeaf = false;
  return {
    end({ always = false } = {}): void {
      wasWoken = true;
      if (always || !isDeaf) finish?.();
    },
    async wait(ms: number, how: { isDeaf: boolean }): Promise<void> {
      isDeaf = how.isDeaf;
      if (ms <= 0 || (wasWoken && !isDeaf)) {
        wasWoken = false;
        return;
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        finish = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      finish = undefined;
      wasWoken = false;
    },
  };
}
