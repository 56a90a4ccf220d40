/** A run as the API answers it: with links to itself, to its sync and to its workflow in the Temporal Web UI. */
import type { Run } from '../ports/run-control.ts';
import type { ApiDeps } from './api-deps.ts';

export function answerRun(run: Run, { publicUrl = '', temporalUiUrl, temporalNamespace }: ApiDeps['links']) {
  const workflow = `/namespaces/${encodeURIComponent(temporalNamespace)}/workflows/${encodeURIComponent(run.workflowId)}`;
  return {
    ...run,
    links: {
      self: `${publicUrl}/v1/runs/${run.id}`,
      sync: `${publicUrl}/v1/syncs/${run.syncId}`,
      ...(temporalUiUrl === undefined ? {} : { temporal: `${temporalUiUrl}${workflow}` }),
    },
  };
}
