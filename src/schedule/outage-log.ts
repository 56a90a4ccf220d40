/** Says when Redis stops serving and when it serves again: one line each, however many calls fail meanwhile. */
import { hasCode, type PenstockError } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

export interface OutageLog {
  noteFailure(what: string, error?: unknown): void;
  noteSuccess(what: string): void;
}

/**
 * What: the name of a command, or `connection`.
 * @param purpose what the connection is for
 */
export function createOutageLog(purpose: string, log: Logger): OutageLog {
  /**
   * What failed first. Of a command that was answered with an error only its success, or the probe's, proves the end: a
   * full server goes on reading, a replica is connected to. Where there was no answer, any proves it.
   */
  let failing: string | undefined;
  let hasServed = false;
  return {
    noteFailure(what, error) {
      if (failing !== undefined) return;
      failing = (error as Error | undefined)?.name === 'ReplyError' ? what : 'connection';
      log.warn({ purpose, what, error }, 'redis: does not serve, trying again');
    },
    noteSuccess(what) {
      if (failing === undefined ? hasServed : ![what, 'connection'].includes(failing) && what !== 'probe')
        return;
      log.info({ purpose }, hasServed ? 'redis: serves again' : 'redis: connected');
      failing = undefined;
      hasServed = true;
    },
  };
}

/** Whether it is Redis that does not serve, of which its outage log has told: whoever meets the error need not. */
export const isTold = (error: unknown): boolean =>
  hasCode(error, 'UNAVAILABLE') && (error as PenstockError).meta?.['server'] === 'redis';
