/**
 * Starts, looks up and steers the workflows of runs. Every call has a deadline. A start may be repeated by anybody at
 * any time: the workflow id is the run's, and a workflow that is or was there is never started a second time.
 */
import {
  type Client,
  isGrpcServiceError,
  type WorkflowExecutionDescription,
  WorkflowNotFoundError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { TypedSearchAttributes } from '@temporalio/common';
import { PenstockError } from '../../domain/errors.ts';
import type { FoundWorkflow, RunStarter, RunToStart } from '../../ports/run-starter.ts';
import { pauseUpdate, resumeUpdate, runQueueOf, stepQueueOf, syncRunType } from '../../workflows/names.ts';
import { pausedStepsOf } from './paused-steps.ts';
import { searchKeys } from '../../workflows/search-attributes.ts';
import type { SyncRunInput } from '../../workflows/sync-run.ts';

export interface RunStarterOptions {
  client: Client;
  /** Prefix of the task queues. */
  taskQueue: string;
  /** Where users reach the API, for links; none without. */
  publicUrl?: string;
  /** How long one call may take. Default 5 s. */
  deadlineMs?: number;
}

const defaultDeadlineMs = 5_000;

/** A starter over a client that it does not own. */
export function createRunStarter(options: RunStarterOptions): RunStarter {
  const { client, deadlineMs = defaultDeadlineMs } = options;
  const { workflow } = client;

  /** Makes whatever the engine answers one of our errors. */
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await client.withDeadline(Date.now() + deadlineMs, work);
    } catch (error) {
      throw unreachable(error) ?? error;
    }
  };

  const describe = (workflowId: string) =>
    call(async (): Promise<FoundWorkflow> => {
      try {
        const found = await workflow.getHandle(workflowId).describe();
        return isOpen(found)
          ? { state: 'open', pausedSteps: pausedStepsOf(found) }
          : { state: 'closed', pausedSteps: [] };
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return { state: 'unknown', pausedSteps: [] };
        throw error;
      }
    });

  const update = (workflowId: string, name: string) =>
    call(async () => {
      try {
        await workflow.getHandle(workflowId).executeUpdate(name);
        return 'asked';
      } catch (error) {
        // Refused by its validator: the run is ending, and there is nothing left to pause or resume.
        if (error instanceof WorkflowNotFoundError || error instanceof WorkflowUpdateFailedError)
          return 'unknown';
        throw error;
      }
    });

  return {
    start: (run) =>
      call(async () => {
        try {
          await workflow.start(syncRunType, startOptions(run, options));
          return 'started';
        } catch (error) {
          if ((error as Error).name === 'WorkflowExecutionAlreadyStartedError') return 'already_started';
          throw error;
        }
      }),
    describe,
    hasWorker: (workerClass) =>
      call(async () => {
        const { pollers } = await client.workflowService.describeTaskQueue({
          namespace: client.options.namespace,
          taskQueue: { name: stepQueueOf(options.taskQueue, workerClass) },
          taskQueueType: workerClass === undefined ? 1 /* workflow */ : 2 /* activity */,
        });
        return (pollers ?? []).some(({ lastAccessTime }) =>
          isRecent(lastAccessTime?.seconds?.toNumber() ?? 0),
        );
      }),
    cancel: async (workflowId) => {
      if ((await describe(workflowId)).state !== 'open') return 'unknown';
      await call(() => workflow.getHandle(workflowId).cancel());
      return 'asked';
    },
    terminate: (workflowId) =>
      call(async () => {
        try {
          await workflow
            .getHandle(workflowId)
            .terminate('its run is final, and no worker is there to end it');
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        }
      }),
    pause: (workflowId) => update(workflowId, pauseUpdate),
    resume: (workflowId) => update(workflowId, resumeUpdate),
  };
}

const isOpen = ({ status }: WorkflowExecutionDescription): boolean =>
  status.name === 'RUNNING' || status.name === 'PAUSED';

/** The engine lists a poller for minutes after its last poll, which lasts up to one. */
const isRecent = (seconds: number): boolean => Date.now() / 1000 - seconds < 90;

function startOptions(run: RunToStart, { taskQueue, publicUrl }: RunStarterOptions) {
  const link = publicUrl === undefined ? undefined : `${publicUrl}/v1/runs/${run.runId}`;
  const input: SyncRunInput = {
    runId: run.runId,
    // The workflow's own worker is no worker of a class.
    ...(run.workerClass === null ? { localSteps: true } : { workerClass: run.workerClass }),
    ...(link !== undefined && { link }),
  };
  return {
    workflowId: run.workflowId,
    taskQueue: runQueueOf(taskQueue),
    args: [input],
    workflowIdReusePolicy: 'REJECT_DUPLICATE',
    workflowIdConflictPolicy: 'FAIL',
    // Set on purpose: a run may take as long as it takes, and a stuck workflow task is noticed soon.
    workflowTaskTimeout: '10s',
    priority: { priorityKey: run.priority, fairnessKey: run.tenantId },
    staticSummary: `${run.tenantName}/${run.syncName} · ${run.mode} · ${run.origin}`,
    staticDetails: describeRun(run, link),
    typedSearchAttributes: new TypedSearchAttributes([
      { key: searchKeys.tenant, value: run.tenantName },
      { key: searchKeys.sync, value: run.syncName },
      { key: searchKeys.source, value: run.sourceName },
      { key: searchKeys.mode, value: run.mode },
      { key: searchKeys.trigger, value: run.origin },
      { key: searchKeys.runState, value: 'starting' },
      { key: searchKeys.rows, value: 0 },
      { key: searchKeys.dueAt, value: new Date(run.dueAtMs) },
    ]),
  } as const;
}

/** Markdown, shown in the Web UI's user metadata. */
function describeRun(run: RunToStart, link: string | undefined): string {
  const id = link === undefined ? `\`${run.runId}\`` : `[${run.runId}](${link})`;
  return [
    `Sync **${run.syncName}** of tenant **${run.tenantName}**, from connection **${run.sourceName}**`,
    `- run: ${id}`,
    `- sync: \`${run.syncId}\``,
    `- due: ${new Date(run.dueAtMs).toISOString()}`,
  ].join('\n');
}

/** Codes that mean "this request is wrong", from which trying again does not help. All others mean "not now". */
const wrongRequest = new Set([3 /* INVALID_ARGUMENT */, 9 /* FAILED_PRECONDITION */, 11, 12]);

function unreachable(error: unknown): PenstockError | undefined {
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)
    return new PenstockError('ENGINE_UNREACHABLE', 'No worker answered in time: is one running?', {
      cause: error,
    });
  if (lacksAttributes(error))
    return new PenstockError(
      'ENGINE_UNREACHABLE',
      'The Temporal namespace lacks search attributes, which workers add, or has them with another type: `penstock doctor` says which.',
      { cause: error },
    );
  const status = grpcStatusOf(error);
  if (status === undefined || wrongRequest.has(status)) return undefined;
  return new PenstockError('ENGINE_UNREACHABLE', `Temporal does not answer (gRPC status ${status}).`, {
    cause: error,
  });
}

/** Every start is refused then, whatever the run: so none is begun until somebody has added them. */
function lacksAttributes(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isGrpcServiceError(cause) && /search ?attribute/i.test(cause.details)) return true;
  return false;
}

function grpcStatusOf(error: unknown): number | undefined {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (isGrpcServiceError(cause)) return cause.code;
  // The namespace is set up by somebody; until then the engine cannot be used.
  return (error as Error | undefined)?.name === 'NamespaceNotFoundError' ? 5 : undefined;
}
