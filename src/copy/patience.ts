/** Trying again what passes by itself, for as long as the failure budget allows. */
import { setTimeout as delay } from 'node:timers/promises';
import { describeError, type Failure } from '../domain/describe-error.ts';
import { codeOf, retryClassOf } from '../domain/errors.ts';
import { isSpent, noteFailure, retryDelayMs, type Failing } from '../domain/failure-budget.ts';

/**
 * One failure budget for one piece of work; what is spent of it by one step is missing for the next, until something is
 * committed.
 */
export class Patience {
  readonly #budgetMs: number;
  readonly #stop: AbortSignal;
  readonly #onRetry: (failure: Failure, delayMs: number) => void;
  #failing: Failing | undefined;

  /** @param stop ends every wait */
  constructor(budgetMs: number, stop: AbortSignal, onRetry: (failure: Failure, delayMs: number) => void) {
    this.#budgetMs = budgetMs;
    this.#stop = stop;
    this.#onRetry = onRetry;
  }

  /** Something was committed: the budget begins again. */
  progressed(): void {
    this.#failing = undefined;
  }

  /** Throws what does not pass by itself, what is left when the budget is spent, and the reason of `stop`. */
  async retrying<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      this.#stop.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (retryClassOf(codeOf(error)) !== 'backoff') throw error;
        await this.wait(error);
      }
    }
  }

  /** Waits before the next try, longer each time. Throws the error when the budget is spent, the reason of `stop` when told. */
  async wait(error: unknown): Promise<void> {
    this.#stop.throwIfAborted();
    const failure = describeError(error);
    const nowMs = Date.now();
    this.#failing = noteFailure(this.#failing, failure, { nowMs, progressed: false });
    if (isSpent(this.#failing, nowMs, this.#budgetMs)) throw error;
    const delayMs = Math.min(retryDelayMs(this.#failing), this.#failing.sinceMs + this.#budgetMs - nowMs);
    this.#onRetry(failure, delayMs);
    try {
      await delay(delayMs, undefined, { signal: this.#stop });
    } finally {
      this.#stop.throwIfAborted();
    }
  }
}
