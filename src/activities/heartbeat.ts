/** Heartbeats beside the work: they prove that the process lives, and bring pauses and cancellations back. */
import type { Context } from '@temporalio/activity';

const everyMs = 1_000;

/**
 * Beats every second until stopped. What is over sooner sends none: each is a write of the server's. `details` are for
 * people; they are no checkpoint.
 */
export function beat(
  context: Pick<Context, 'heartbeat'>,
  details: () => unknown = () => undefined,
): () => void {
  const timer = setInterval(() => context.heartbeat(details()), everyMs);
  return () => clearInterval(timer);
}
