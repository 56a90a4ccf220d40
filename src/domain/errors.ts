/**
 * The one table of errors: what a code means, its HTTP status, how the engine treats it and what the reader should
 * do. The API's problem types and their page are made of it. Compare by `code`, never by `instanceof`: an error that
 * crossed a process keeps its code and nothing else. Its rows are in error-table/, by where the fault lies.
 */
import { destinationErrors } from './error-table/destination-errors.ts';
import type { RetryClass } from './error-table/error-entry.ts';
import { installationErrors } from './error-table/installation-errors.ts';
import { requestErrors } from './error-table/request-errors.ts';
import { runErrors } from './error-table/run-errors.ts';
import { sourceErrors } from './error-table/source-errors.ts';

export const errorTable = {
  ...requestErrors,
  ...installationErrors,
  ...sourceErrors,
  ...destinationErrors,
  ...runErrors,
};

export type ErrorCode = keyof typeof errorTable;

interface ErrorDetails {
  /** RFC 6901 pointer to the member of the request that is wrong. */
  pointer?: string;
  cause?: unknown;
  /** More of what a program needs: ids and numbers, never a row value or a secret. */
  meta?: Record<string, string | number | boolean | null>;
}

/** An error of the table. Its message says what happened and to what; the cure comes from the table. */
export class PenstockError extends Error {
  readonly code: ErrorCode;
  readonly pointer: string | undefined;
  readonly meta: ErrorDetails['meta'];
  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = 'PenstockError';
    this.code = code;
    this.pointer = details.pointer;
    this.meta = details.meta;
  }
}

/** The table's code of any thrown value; `INTERNAL` when it has none of ours. */
export function codeOf(error: unknown): ErrorCode {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' && Object.hasOwn(errorTable, code) ? (code as ErrorCode) : 'INTERNAL';
}

export const hasCode = (error: unknown, code: ErrorCode): boolean => codeOf(error) === code;

/** How a running sync treats it. */
export const retryClassOf = (code: ErrorCode): RetryClass => errorTable[code].retry;

/** What the reader should do about it. */
export const cureOf = (code: ErrorCode): string => errorTable[code].cure;

/** What happened and what to do, as sentences: for places that have one text only. */
export const withCure = (message: string, code: ErrorCode): string =>
  `${message.replace(/\.?$/, '.')} ${cureOf(code)}`;
