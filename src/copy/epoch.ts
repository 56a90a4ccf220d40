/** The lease epoch of an attempt: greater than that of every earlier attempt of the run, and nobody invents it. */

/** Room for milliseconds since 1970 until the year 2109; calls count above it. */
const callFactor = 2n ** 42n;

/** The number of the call that an epoch was made for. */
export const callOf = (epoch: string): number => Number(BigInt(epoch) / callFactor);

/**
 * Call number × 2^42 + when Temporal scheduled the attempt: calls rise in the workflow, and within a call every retry,
 * unpause and reset is scheduled later than the one before.
 * @returns decimal text, since it exceeds 2^53
 */
export const epochOf = (call: number, currentAttemptScheduledMs: number): string =>
  String(BigInt(call) * callFactor + BigInt(currentAttemptScheduledMs));
