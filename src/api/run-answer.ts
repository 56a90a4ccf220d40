/**
 * A run as the API answers it: what would mend its error, and links to itself, to its sync and to its workflow in the
 * Temporal Web UI.
 */
import { cureOf } from '../domain/errors.ts';
import type { Run, RunAttempt } from '../ports/run-control.ts';
import type { ApiDeps } from './api-deps.ts';

export function answerRun(run: Run, { publicUrl = '', temporalUiUrl, temporalNamespace }: ApiDeps['links']) {
  const workflow = `/namespaces/${encodeURIComponent(temporalNamespace)}/workflows/${encodeURIComponent(run.workflowId)}`;
  return {
    ...run,
    error: answerError(run.error),
    retry: run.retry && { ...run.retry, cure: cureOf(run.retry.code) },
    links: {
      self: `${publicUrl}/v1/runs/${run.id}`,
      sync: `${publicUrl}/v1/syncs/${run.syncId}`,
      ...(temporalUiUrl === undefined ? {} : { temporal: `${temporalUiUrl}${workflow}` }),
    },
  };
}

/** An attempt, with what would mend its error. */
export const answerAttempt = (attempt: RunAttempt) => ({ ...attempt, error: answerError(attempt.error) });

const answerError = (error: Run['error']) => error && { ...error, cure: cureOf(error.code) };
