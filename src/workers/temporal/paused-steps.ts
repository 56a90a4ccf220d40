/** What operators have paused of a run in the Web UI, by the CLI, or by a rule, as Temporal describes its workflow. */
import type { WorkflowExecutionDescription } from '@temporalio/client';
import type { CopyActivities, RunActivities } from '../../activities/contract.ts';
import type { PausableStep } from '../../domain/run-states.ts';
import type { PausedStep } from '../../ports/run-control.ts';

const stepOf: Readonly<Record<keyof RunActivities | keyof CopyActivities, PausableStep>> = {
  prepareRun: 'prepare',
  copyPartition: 'copy',
  finishRun: 'finish',
  pauseRun: 'close',
  failRun: 'close',
  cancelRun: 'close',
};

/** Those of an open workflow's activities that are paused. */
export function pausedStepsOf({ raw }: WorkflowExecutionDescription): PausedStep[] {
  return (raw.pendingActivities ?? []).flatMap(({ paused, pauseInfo, activityId, activityType }) => {
    const step = stepOf[activityType?.name as keyof typeof stepOf] as PausableStep | undefined;
    if (!paused || !step) return [];
    const { pauseTime } = pauseInfo ?? {};
    const { identity, reason } = pauseInfo?.manual ?? pauseInfo?.rule ?? {};
    const sinceMs = Number(pauseTime?.seconds ?? 0) * 1_000 + (pauseTime?.nanos ?? 0) / 1e6;
    return [
      {
        step,
        activityId: activityId ?? '',
        by: identity ?? '',
        reason: reason ?? '',
        since: new Date(sinceMs).toISOString(),
      },
    ];
  });
}
