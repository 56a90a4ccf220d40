/** Errors as `application/problem+json` (RFC 9457): code, JSON pointer and cure; never a stack, SQL or a secret. */
import { codeOf, errorTable, type ErrorCode, type PenstockError } from '../domain/errors.ts';

/** One member of the request that is wrong. */
export interface Issue {
  /** RFC 6901 pointer into the body, or `/query/…`, `/params/…`, `/headers/…`. */
  pointer: string;
  detail: string;
}

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  cure: string;
  pointer?: string;
  /** All of them, when several members are wrong. */
  errors?: readonly Issue[];
  meta?: Record<string, string | number | boolean | null>;
  requestId: string;
}

export const problemType = 'application/problem+json; charset=utf-8';

/** What an answer says of any thrown value. What is not of our table is INTERNAL and says nothing of its inside. */
export function problemOf(error: unknown, requestId: string): Problem {
  const code = codeOf(error);
  const { status, title, cure } = errorTable[code];
  const { message, pointer, meta, issues } = error as PenstockError & { issues?: readonly Issue[] };
  return {
    type: `/problems#${code}`,
    title,
    status,
    detail: code === 'INTERNAL' ? 'An unexpected error was logged under the request id.' : message,
    code,
    cure,
    ...(pointer === undefined ? {} : { pointer }),
    ...(issues && issues.length > 1 ? { errors: issues } : {}),
    ...(meta === undefined ? {} : { meta }),
    requestId,
  };
}
