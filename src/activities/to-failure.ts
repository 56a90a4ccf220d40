/**
 * Errors on their way into a history, where everybody may read them. Our own carry a message without values; of all
 * others only the kind is told, because a driver's message may quote a row, a literal or a host.
 */
import { ApplicationFailure, CancelledFailure, CompleteAsyncError } from '@temporalio/activity';
import { codeOf, PenstockError, retryClassOf } from '../domain/errors.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Failure } from './contract.ts';

/** The code and a message that is fit to be read by everybody. */
export function describeError(error: unknown): Failure {
  const code = codeOf(error);
  if (isOurs(error)) return { code, message: error.message };
  const { name, code: driverCode } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = typeof name === 'string' ? name : 'error';
  const detail = typeof driverCode === 'string' ? ` ${driverCode}` : '';
  return { code, message: `unexpected ${kind}${detail}; the worker's log says where` };
}

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

/** By shape: an error that crossed a module boundary keeps its code and name only. */
const isOurs = (error: unknown): error is PenstockError =>
  error instanceof Error && error.name === PenstockError.name;
