/**
 * The SDK's log lines on our logger. What comes with them is cut down to ids and codes: the SDK would print failures
 * whole, and failures of foreign code may quote rows.
 */
import type { Logger as SdkLogger, LogLevel, LogMetadata } from '@temporalio/worker';
import { describeError } from '../../domain/describe-error.ts';
import { hasCode } from '../../domain/errors.ts';
import type { Logger } from '../../telemetry/logger.ts';

const levels = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** Said of every worker that does one thing only, as a warning. */
const expected = /^No (workflows|activities|Nexus services) registered/;

/** Metadata that is safe to print, and helps. */
const kept = [
  'sdkComponent',
  'namespace',
  'taskQueue',
  'workflowId',
  'runId',
  'workflowType',
  'activityId',
  'activityType',
  'attempt',
  'durationMs',
  'state',
] as const;

/** A logger for `Runtime.install`. */
export function createSdkLogger(logger: Logger): SdkLogger {
  const log = (level: LogLevel, message: string, meta?: LogMetadata): void => {
    if (!logger.isLevelEnabled(levels[level])) return;
    const about = message === 'Workflow failed' ? describeEnd(meta) : describeMeta(meta);
    const isSaid = expected.test(message) || isOutage(about);
    logger[isSaid ? 'debug' : levels[level]](about, `temporal: ${message}`);
  };
  return {
    log,
    trace: (message, meta) => log('TRACE', message, meta),
    debug: (message, meta) => log('DEBUG', message, meta),
    info: (message, meta) => log('INFO', message, meta),
    warn: (message, meta) => log('WARN', message, meta),
    error: (message, meta) => log('ERROR', message, meta),
  };
}

/** An outage fails every activity that meets it; it is said once a minute for all (log-outages.ts). */
const isOutage = ({ failure }: Record<string, unknown>): boolean => hasCode(failure, 'UNAVAILABLE');

/**
 * Of the error that a workflow failed with, only the message arrives on this thread. `syncRun` throws what everybody may
 * read in its history, code and cure included.
 */
const describeEnd = (meta: LogMetadata = {}): Record<string, unknown> => ({
  ...describeMeta(meta),
  failure: { message: (meta as { error?: Error }).error?.message },
});

/** What the core says of an error is about its calls to the server, and holds no more than what was sent there. */
function describeMeta(meta: LogMetadata = {}): Record<string, unknown> {
  const { error } = meta as { error?: unknown };
  return {
    ...Object.fromEntries(kept.flatMap((name) => (name in meta ? [[name, meta[name]]] : []))),
    ...(error !== undefined && {
      failure:
        typeof error === 'string' && meta['sdkComponent'] === 'core'
          ? { message: error }
          : describeFailure(error),
    }),
  };
}

/** A failure that an activity threw on purpose has its code as type; anything else is told by its kind. */
function describeFailure(error: unknown): { code: string; message: string } {
  const { name, type, message } = (error ?? {}) as { name?: unknown; type?: unknown; message?: unknown };
  return name === 'ApplicationFailure' && typeof type === 'string'
    ? { code: type, message: String(message) }
    : describeError(error);
}
