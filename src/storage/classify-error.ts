/** Tells errors of the way to the control database from errors of the statement. */
import { PenstockError } from '../domain/errors.ts';

/**
 * Connection exceptions (class 08), shutdown and recovery (57P0x), a session that was ended because it hung (25P03), too
 * many clients (53300), and Node's own.
 */
const unavailable = /^(08...|57P0[1-5]|25P03|53300|E(CONN|HOST|NET|PIPE|TIMEDOUT|AI_AGAIN).*)$/;
/** What pg throws without a code. */
const unavailableMessage =
  /timeout exceeded when trying to connect|Connection terminated|Client has encountered/;

/** UNAVAILABLE when the database did not answer, else the error itself. */
export function classifyError(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const away =
    (typeof code === 'string' && unavailable.test(code)) ||
    (typeof message === 'string' && unavailableMessage.test(message));
  if (!away) return error;
  return new PenstockError('UNAVAILABLE', 'the control database does not answer', { cause: error });
}
