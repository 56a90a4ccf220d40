/** What the table says of a code. */

/**
 * How a running sync treats the error:
 * - `never`: somebody has to change something; the run fails at once, with the cure in its message.
 * - `backoff`: passes by itself; tried again with back-off inside the failure budget.
 * - `fenced`: this attempt has been replaced; it stops without a word and the workflow calls again.
 */
export type RetryClass = 'never' | 'backoff' | 'fenced';

export interface ErrorEntry {
  /** Of HTTP. */
  readonly status: number;
  readonly retry: RetryClass;
  readonly title: string;
  /** What to change. */
  readonly cure: string;
}
