/** Heartbeats beside the work: they prove that the process lives, and bring pauses and cancellations back. */
import type { Context } from '@temporalio/activity';

const everyMs = 1_000;

/** Beats once at once and then every second, until stopped. `details` are for people; they are no checkpoint. */
export function beat(
  context: Pick<Context, 'heartbeat'>,
  details: () => unknown = () => undefined,
): () => void {
  const send = () => context.heartbeat(details());
  send();
  const timer = setInterval(send, everyMs);
  return () => clearInterval(timer);
}
