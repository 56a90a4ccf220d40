/** Waits for a state. Tests wait for what they need, never for a length of time. */
import { setTimeout as delay } from 'node:timers/promises';

/**
 * Resolves when the condition holds; looks every 20 ms.
 * @param what completes the sentence "… did not happen within …"
 * @throws Error after the deadline, with the condition's last error
 */
export async function waitUntil(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 30_000,
): Promise<void> {
  let cause: unknown;
  for (const until = Date.now() + withinMs; Date.now() < until; await delay(20)) {
    try {
      if (await condition()) return;
    } catch (error) {
      cause = error;
    }
  }
  throw new Error(`"${what}" did not happen within ${withinMs / 1000} s`, { cause });
}
