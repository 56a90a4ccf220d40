/**
 * The recipe of docs/temporal.md for a change of workflow code, on a real server: a run begun before goes on as it began,
 * one begun afterwards takes the new way, and going back is noticed and not done.
 */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import type { RunToStart } from '../../../src/ports/run-starter.ts';
import type { RunProgress } from '../../../src/workflows/run-progress.ts';
import {
  copyUntilTold,
  oneBatch,
  openRunEngine,
  plannedRun,
  scriptedActivities,
  startRun,
  type RunEngine,
} from '../../support/run-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { workflowBundlePath } from '../../support/workflow-bundle.ts';

let engine: RunEngine;
let changed: string;
beforeAll(async () => {
  engine = await openRunEngine();
  // The step is left out from now on.
  changed = await workflowBundlePath({
    file: 'sync-run.ts',
    changes: [
      ['  isCancellation,\n', '  isCancellation,\n  patched,\n'],
      ["publishStatus(run, 'running');", "if (!patched('no-running')) publishStatus(run, 'running');"],
    ],
  });
});
afterEach(() => engine.stopWorkers());
afterAll(() => engine?.close());

async function start(): Promise<{ run: RunToStart; handle: WorkflowHandle }> {
  const run = plannedRun();
  return { run, handle: await startRun(engine, run) };
}

/** How often the run made its status searchable: when it runs, rests, and ends. */
async function countUpserts(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return events!.filter((event) => event.upsertWorkflowSearchAttributesEventAttributes).length;
}

test('a run that is under way goes on as it began, one that begins takes the new way', async () => {
  const script = { pausing: true };
  const { calls, activities } = scriptedActivities({
    copyPartition: () => (script.pausing ? copyUntilTold() : Promise.resolve(oneBatch())),
  });
  await engine.startWorkers(activities);
  const { run, handle } = await start();
  await waitUntil('it copies', () => calls.includes('copyPartition'));
  await engine.starter.pause(run.workflowId);
  await waitUntil('it is paused', async () => {
    const { phase } = await handle.query<RunProgress>('progress');
    return phase === 'paused';
  });
  script.pausing = false;
  await engine.stopWorkers();
  await engine.startWorkers(activities, { codePath: changed });
  await engine.starter.resume(run.workflowId);
  await handle.result();
  // Running, paused, running again, succeeded: a decision once made is remembered, also for steps that come later.
  expect(await countUpserts(handle)).toBe(4);
  const { handle: fresh } = await start();
  await fresh.result();
  expect(await countUpserts(fresh)).toBe(1 + markers);
});

/** The SDK makes patches searchable, too. */
const markers = 1;

test('a run that has taken the new way cannot be replayed by the code before', async () => {
  await engine.startWorkers(scriptedActivities().activities, { codePath: changed });
  const { handle } = await start();
  await handle.result();
  const history = JSON.parse(historyToJSON(await handle.fetchHistory())) as unknown;
  await Worker.runReplayHistory({ workflowBundle: { codePath: changed } }, history);
  const replay = Worker.runReplayHistory(
    { workflowBundle: { codePath: await workflowBundlePath() } },
    history,
  );
  await expect(replay).rejects.toMatchObject({ name: 'DeterminismViolationError' });
});
