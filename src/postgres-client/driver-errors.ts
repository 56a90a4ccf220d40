/** What an error of the driver is: the server's, with its SQLSTATE, or a fault of the connection, with a code of Node's. */
import { PenstockError } from '../domain/errors.ts';

/** The SQLSTATE of an error of the server; undefined for a fault of the connection (EPIPE is not one). */
export function sqlstateOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !(code in faults) ? code : undefined;
}

/** What is told of the one end where it happened: the guard of hosts does not know whose host it is asked of. */
export const atEnd = (error: PenstockError, end: 'source' | 'destination'): PenstockError =>
  error.code === 'HOST_NOT_ALLOWED' && error.pointer === undefined
    ? new PenstockError(error.code, error.message, { pointer: `/${end}/connection`, cause: error })
    : error;

const faults: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens at that address and port',
  ENOTFOUND: 'the host name does not resolve',
  EAI_AGAIN: 'the host name cannot be resolved now',
  ETIMEDOUT: 'no answer in time',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  EBADMSG: 'what answers does not speak PostgreSQL’s protocol',
  EMSGSIZE: 'the server sends more than is taken at once',
};

/** A connection that ended without a word of the server. TLS faults carry codes of their own, which are safe to show. */
export function connectionFault(error: unknown): string {
  const { code = '' } = error as { code?: string };
  return faults[code] ?? (code === '' ? 'the connection ended' : `the connection failed (${code})`);
}
