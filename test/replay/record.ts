/**
 * Records the histories of every shape of workflow for this version of the package, in histories/<version>/; those of
 * earlier versions stay. `npm run record-histories`, or `npm run record-histories -- NAME…` for some shapes only.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON, type History } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowHandle } from '@temporalio/client';
import { startStack } from '../../src/dev/stack.ts';
import { openRunEngine, type RunEngine } from '../support/run-engine.ts';
import { playShape, shapes, suggestedEvents } from './shapes.ts';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8')) as { version: string };
const folder = fileURLToPath(new URL(`histories/${version}`, import.meta.url));

const stack = await startStack({
  dataDir: await mkdtemp(join(tmpdir(), 'penstock-record-')),
  log: (line) => process.stdout.write(`${line}\n`),
  servers: ['temporal'],
  temporal: { dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': suggestedEvents } },
});
const engine = await openRunEngine(stack.temporal.address);
try {
  const wanted = process.argv.slice(2);
  if (wanted.length === 0) rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const name of wanted.length > 0 ? wanted : Object.keys(shapes)) await record(engine, name);
} finally {
  await engine.close();
  await stack.stop({ discard: true });
}

/** Writes the history of each execution: the first under the shape's name, later ones numbered. */
async function record(engine: RunEngine, name: string): Promise<void> {
  const handle = await playShape(engine, name);
  const { workflowId } = handle;
  let runId: string | undefined = await firstRunId(handle);
  for (let n = 1; runId !== undefined; n++) {
    const history: History = await engine.client.workflow.getHandle(workflowId, runId).fetchHistory();
    const file = `${n === 1 ? name : `${name}-${n}`}.json`;
    // Stack traces name this machine's folders.
    writeFileSync(join(folder, file), `${historyToJSON(history).replaceAll(packageDir, '')}\n`);
    process.stdout.write(`${file}: ${history.events!.length} events\n`);
    runId = nextRunId(history);
  }
}

/** Of the execution that continues this one. */
function nextRunId({ events }: History): string | undefined {
  return events!.at(-1)!.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
}

async function firstRunId(handle: WorkflowHandle): Promise<string> {
  const { events } = await handle.fetchHistory();
  return events![0]!.workflowExecutionStartedEventAttributes!.firstExecutionRunId!;
}
