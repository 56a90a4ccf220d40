/** `Prefer: wait=N` (RFC 7240 §4.3): the answer is held until the run is final, at most N seconds. */
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isFinal } from '../domain/run-states.ts';
import type { Run } from '../ports/run-control.ts';

/** Longer waits are cut: proxies give up about then. */
const maxWaitS = 60;
const firstLookMs = 100;
const longestPauseMs = 1_000;

/** Seconds that the request is willing to wait; 0 without the preference. */
export function waitSecondsOf(request: FastifyRequest): number {
  const match = /(?:^|[,;]) *wait *= *"?(\d{1,6})"? *(?:$|[,;])/i.exec(
    String(request.headers['prefer'] ?? ''),
  );
  return match ? Math.min(Number(match[1]), maxWaitS) : 0;
}

/**
 * Looks at the run until it is final, the time is over, the client is gone or the server closes.
 * @returns the run as it is then
 */
export async function waitForRun(
  { run, seconds, reply, closing }: { run: Run; seconds: number; reply: FastifyReply; closing: AbortSignal },
  look: () => Promise<Run>,
): Promise<Run> {
  if (seconds === 0) return run;
  void reply.header('preference-applied', `wait=${seconds}`);
  const gone = new AbortController();
  reply.raw.once('close', () => gone.abort());
  const signal = AbortSignal.any([closing, gone.signal, AbortSignal.timeout(seconds * 1000)]);
  let found = run;
  for (let pauseMs = firstLookMs; !isFinal(found.status) && !signal.aborted; pauseMs *= 1.5) {
    await delay(Math.min(pauseMs, longestPauseMs), undefined, { signal }).catch(() => {});
    found = await look();
  }
  return found;
}
