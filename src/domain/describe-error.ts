/**
 * What may be told of an error to everybody who reads a history, a log or a terminal. Ours carry a message without
 * values; of all others only the kind is told, because a driver's message may quote a row, a literal or a host.
 */
import { codeOf, PenstockError, type ErrorCode } from './errors.ts';

/** Why something went wrong, fit for people's eyes: the code of the error table and a message without values. */
export interface Failure {
  code: ErrorCode;
  message: string;
}

/** The code and a message that is fit to be read by everybody. */
export function describeError(error: unknown): Failure {
  const code = codeOf(error);
  if (isOurs(error)) return { code, message: error.message };
  const { name, code: driverCode } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = typeof name === 'string' ? name : 'error';
  const detail = typeof driverCode === 'string' ? ` ${driverCode}` : '';
  return { code, message: `unexpected ${kind}${detail}; the worker's log says where` };
}

/** By shape: an error that crossed a module boundary keeps its code and name only. */
export const isOurs = (error: unknown): error is PenstockError =>
  error instanceof Error && error.name === PenstockError.name;
