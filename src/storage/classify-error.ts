/** Tells errors of the way to the control database from errors of the statement. */
import { PenstockError } from '../domain/errors.ts';

/**
 * SQLSTATE of connection exceptions (class 08), resources that are spent (53), shutdown and recovery (57P0x), system
 * errors (58), a session that was ended because it hung (25P03) and a server that has become a standby (25006).
 */
const ofTheServer = /^(08...|53...|57P0[1-5]|58...|25P03|25006)$/;
/** Node's own: ECONNREFUSED, ENOTFOUND, EAI_AGAIN …, but not ERR_… for wrong arguments. */
const ofTheWay = /^E(?!RR_)[A-Z_]+$/;
/** What pg throws without a code, also when an answer does not come in time. */
const ofTheDriver = /timeout|Connection terminated|Client has encountered|Client was closed/;

/** UNAVAILABLE when the database did not answer, else the error itself. */
export function classifyError(error: unknown): unknown {
  if (error instanceof PenstockError || !isOutage(error)) return error;
  return new PenstockError('UNAVAILABLE', 'the control database does not answer', { cause: error });
}

function isOutage(error: unknown): boolean {
  const { code, message } = (error ?? {}) as Record<string, unknown>;
  if (typeof code === 'string') return ofTheServer.test(code) || ofTheWay.test(code);
  return typeof message === 'string' && ofTheDriver.test(message);
}
