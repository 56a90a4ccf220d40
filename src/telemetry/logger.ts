/**
 * Structured logs, one JSON object a line. Lines carry ids (tenant, sync, run, attempt), codes and counts; never a
 * row's value, SQL or a secret: errors are cut down to code and message before they are written.
 */
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';

export type Logger = Pick<
  PinoLogger,
  'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'child' | 'level' | 'isLevelEnabled'
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

/**
 * What a log line says of an error. A database's error also holds detail, hint and where, which quote rows, and its
 * message may quote a value or a literal of the statement: of those only the code is written.
 */
function describeError(error: unknown, depth = 0): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const { code } = error as { code?: unknown };
  const frames = stack?.split('\n').filter((line) => /^\s+at /.test(line)) ?? [];
  return {
    name,
    message: typeof code === 'string' && mayQuote(code) ? `SQLSTATE ${code}` : message,
    ...(typeof code === 'string' ? { code } : {}),
    ...(depth === 0 && frames.length > 0 ? { stack: frames.join('\n') } : {}),
    ...(cause !== undefined && depth < 4 ? { cause: describeError(cause, depth + 1) } : {}),
  };
}

/** SQLSTATEs whose message names tables, columns, constraints and roles only. */
const namesObjectsOnly =
  /^(42P01|42703|42883|42501|42702|42803|42704|3F000|08...|23...|28...|3D000|40...|53...|55P03|57...|58...)$/;

const mayQuote = (code: string): boolean => /^[0-9A-Z]{5}$/.test(code) && !namesObjectsOnly.test(code);
