/**
 * Histories that real servers recorded, of every released version, replay on today's workflow code; and the replay
 * notices changes that would break runs under way. A change on purpose goes behind `patched` of the SDK, and its
 * histories are added by `npm run record-histories`.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { Worker } from '@temporalio/worker';
import { installRuntime } from '../../src/workers/temporal/create-worker.ts';
import { createKeptLogger } from '../support/kept-logger.ts';
import { workflowBundlePath, type Mutation } from '../support/workflow-bundle.ts';
import { shapes } from './shapes.ts';

const folder = fileURLToPath(new URL('histories', import.meta.url));
const versions = readdirSync(folder).sort();
const recorded = versions.flatMap((version) =>
  readdirSync(join(folder, version)).map((file) => [version, file.replace('.json', '')] as const),
);

const read = (version: string, name: string): unknown =>
  JSON.parse(readFileSync(join(folder, version, `${name}.json`), 'utf8'));

const replay = (codePath: string, version: string, name: string): Promise<void> =>
  Worker.runReplayHistory({ workflowBundle: { codePath } }, read(version, name));

beforeAll(() => {
  installRuntime(createKeptLogger().logger);
});

describe('recorded histories', () => {
  test('are there for every shape', () => {
    for (const name of Object.keys(shapes)) expect(recorded.map(([, found]) => found)).toContain(name);
  });

  test.each(recorded)('of version %s replay: %s', async (version, name) => {
    await replay(await workflowBundlePath(), version, name);
  });
});

describe('a replay notices', () => {
  const mutants: [string, string, Mutation][] = [
    [
      'an activity that was renamed',
      'success',
      { file: 'copy-load.ts', changes: [['copyPartition', 'copyThePartition']] },
    ],
    [
      'a step that is left out',
      'success',
      { file: 'sync-run.ts', changes: [["publishStatus(run, 'running');", '']] },
    ],
    [
      'steps of a class that became local activities',
      'worker-class',
      { file: 'short-steps.ts', changes: [['return run.localSteps ?', 'return true ?']] },
    ],
    [
      'a local activity that was renamed',
      'success',
      { file: 'short-steps.ts', changes: [['{ finishRun: finishLocally }', '{ endRun: finishLocally }']] },
    ],
    [
      'a local activity that became an activity',
      'success',
      { file: 'short-steps.ts', changes: [['return run.localSteps ?', 'return false ?']] },
    ],
    [
      'a local activity that is left out',
      'success',
      {
        file: 'short-steps.ts',
        changes: [
          [
            'finishLocally(input)',
            "Promise.resolve({ outcome: 'succeeded', rows: 1, batches: 1, bytes: 1 })",
          ],
        ],
      },
    ],
    [
      'an order that changed',
      'pause',
      {
        file: 'sync-run.ts',
        changes: [
          [
            'if (run.pauseAsked) await holdPause(run);\n    const prepared = await prepare(run);',
            'const prepared = await prepare(run);\n    if (run.pauseAsked) await holdPause(run);',
          ],
        ],
      },
    ],
    [
      'a back-off that is gone',
      'retry',
      { file: 'copy-load.ts', changes: [['await sleep(retry', 'void (retry']] },
    ],
    [
      'a cancellation that is not recorded',
      'cancel',
      {
        file: 'close-run.ts',
        changes: [
          [
            "await record(run, 'cancelled').cancelRun({",
            "await Promise.resolve({ status: 'cancelled' as const,",
          ],
        ],
      },
    ],
    [
      'a failure that is not recorded',
      'failure',
      {
        file: 'close-run.ts',
        changes: [
          [
            'await record(run, `failed: ${failure.code}`).failRun({',
            "await Promise.resolve({ status: 'failed' as const,",
          ],
        ],
      },
    ],
    [
      'a job of maintenance whose activity was renamed',
      'orphans',
      { file: 'maintenance.ts', changes: [['dropOrphans: drop,', 'dropAllOrphans: drop,']] },
    ],
    [
      'a pass of maintenance that is left out',
      'retention',
      { file: 'maintenance.ts', changes: [['await inStretches(forgetLoads),', '']] },
    ],
    [
      'an audit that looks only once',
      'audit-finds',
      { file: 'maintenance.ts', changes: [['broken.length > 0', 'broken.length > 9']] },
    ],
    [
      'maintenance that goes on for longer',
      'retention-without-end',
      { file: 'maintenance.ts', changes: [['mostStretches = 30', 'mostStretches = 31']] },
    ],
    [
      'a long history that does not end',
      'continue-as-new',
      { file: 'sync-run.ts', changes: [['workflowInfo().continueAsNewSuggested', 'false']] },
    ],
  ];

  test.each(mutants)('%s (%s)', async (_, name, mutation) => {
    const codePath = await workflowBundlePath(mutation);
    await expect(replay(codePath, versions.at(-1)!, name)).rejects.toMatchObject({
      name: 'DeterminismViolationError',
    });
  });
});
