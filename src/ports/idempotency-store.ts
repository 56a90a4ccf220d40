/** Answers to requests that carried an Idempotency-Key, kept so that a repeated request gets the same answer. */
import type { Caller } from './scope.ts';

export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  body: unknown;
}

export interface IdempotencyStore {
  /**
   * Takes the key for a request. `answered`: it was used for the same request, here is its answer. CONFLICT while the
   * first request is at work; IDEMPOTENCY_MISMATCH when it was used for another one.
   */
  begin(
    caller: Caller,
    key: string,
    requestHash: Buffer,
  ): Promise<{ state: 'begun' } | { state: 'answered'; answer: StoredAnswer }>;
  /** Keeps the answer. */
  complete(caller: Caller, key: string, answer: StoredAnswer): Promise<void>;
  /** The request failed in a way that may pass: the key is free again. */
  abandon(caller: Caller, key: string): Promise<void>;
}
