/** Errors on their way into a history, where everybody may read them: told as `describeError` tells them. */
import { ApplicationFailure, CancelledFailure, CompleteAsyncError } from '@temporalio/activity';
import { describeError, isOurs } from '../domain/describe-error.ts';
import { retryClassOf } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';

/** What an activity may throw: type = code, retried unless the table (or the caller) says never. Cancellations pass. */
export function toFailure(error: unknown, wanted: { nonRetryable?: boolean } = {}): Error {
  if (error instanceof CancelledFailure || error instanceof CompleteAsyncError) return error;
  if (error instanceof ApplicationFailure && error.cause === undefined) return error;
  const { code, message } = describeError(error);
  const nonRetryable = wanted.nonRetryable ?? retryClassOf(code) === 'never';
  return ApplicationFailure.create({ type: code, message, nonRetryable });
}

/**
 * Logs an error that nobody expected: where it came from, without its text. Errors of our table say all there is to say
 * where they end up.
 */
export function logUnexpected(logger: Logger, error: unknown, ids: Record<string, unknown>): void {
  if (isOurs(error) || error instanceof CancelledFailure) return;
  const frames = error instanceof Error ? (error.stack ?? '').split('\n').filter(isFrame) : [];
  logger.error({ ...ids, failure: describeError(error).message, frames }, 'an error that nobody expected');
}

const isFrame = (line: string): boolean => /^\s+at /.test(line);
