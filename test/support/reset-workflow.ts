/** What `temporal workflow reset --type FirstWorkflowTask` does. */
import { randomUUID } from 'node:crypto';
import type { Client, WorkflowHandle } from '@temporalio/client';

/** Returns the execution that goes on, from the first task of the newest one. */
export async function resetWorkflow(client: Client, workflowId: string): Promise<WorkflowHandle> {
  const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
  const first = events!.find((event) => event.workflowTaskCompletedEventAttributes)!;
  const { runId } = await client.workflowService.resetWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId },
    workflowTaskFinishEventId: first.eventId!,
    reason: 'by the test',
    requestId: randomUUID(),
  });
  return client.workflow.getHandle(workflowId, runId);
}
