/** Says when a dependency is away: a line a minute, however many calls fail meanwhile, and one when it answers again. */
import { hasCode } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

const lineEveryMs = 60_000;

/** The same port, all of whose methods are asynchronous; its callers need not log that it is UNAVAILABLE. */
export function logOutages<T extends object>(port: T, what: string, logger: Logger): T {
  let saidAtMs = -Infinity;
  const noteAnswer = (): void => {
    if (saidAtMs > -Infinity) logger.info(`${what} answers again`);
    saidAtMs = -Infinity;
  };
  const noteFailure = (err: unknown): void => {
    if (!hasCode(err, 'UNAVAILABLE')) return noteAnswer();
    if (performance.now() - saidAtMs < lineEveryMs) return;
    saidAtMs = performance.now();
    logger.warn({ err }, `${what} does not answer; what needs it is tried again until it does`);
  };
  return new Proxy(port, {
    get(target, key, receiver) {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        try {
          const result: unknown = await member.apply(target, args);
          noteAnswer();
          return result;
        } catch (err) {
          noteFailure(err);
          throw err;
        }
      };
    },
  });
}
