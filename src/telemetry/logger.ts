/**
 * Structured logs, one JSON object a line. Lines carry ids (tenant, sync, run, attempt), codes and counts; never a
 * row's value, SQL or a secret: errors are cut down to code and message before they are written.
 */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';

export type Logger = Pick<
  PinoLogger,
  'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child' | 'level'
>;

interface LoggerOptions {
  level: string;
  /** The role or program that logs. */
  name: string;
  /** Standard error by default: standard output belongs to answers. */
  destination?: DestinationStream;
}

/** A logger for one process. */
export function createLogger({ level, name, destination }: LoggerOptions): Logger {
  return pino(
    {
      level,
      name,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: describeError, error: describeError },
    },
    destination ?? pino.destination(2),
  );
}

/** What a log line says of an error. A driver's error also holds detail, where and rows: those stay out. */
function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  return {
    name,
    message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(depth === 0 && stack ? { stack: stack.split('\n').slice(1).join('\n') } : {}),
    ...(cause !== undefined && depth < 4 ? { cause: describeError(cause, depth + 1) } : {}),
  };
}
