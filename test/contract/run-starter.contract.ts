/** What every engine behind the port RunStarter must do. Called by a test file of each: the fake, and Temporal. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { newId, runIdOf, workflowIdOf } from '../../src/domain/ids.ts';
import type { RunStarter, RunToStart } from '../../src/ports/run-starter.ts';
import { waitUntil } from '../support/wait-until.ts';

export interface RunStarterFixture {
  readonly starter: RunStarter;
  /** A starter of the same kind whose engine does not answer. */
  readonly unreachable: RunStarter;
  /** Ends a workflow behind the starter's back, as its completion or an operator would. */
  close(workflowId: string): Promise<void>;
  /** Has a worker ask for work, of a class if one is named; none has before. */
  poll(workerClass?: string): void;
  end(): Promise<void>;
}

let count = 0;

/** A run that no engine has seen. */
function newRunToStart(): RunToStart {
  count += 1;
  const syncId = newId('sync');
  const runId = runIdOf(syncId, 'manual', String(count));
  return {
    runId,
    workflowId: workflowIdOf('acme', 'subscribers', runId),
    tenantId: newId('tenant'),
    tenantName: 'acme',
    syncId,
    syncName: 'subscribers',
    sourceName: 'warehouse',
    mode: 'upsert',
    origin: 'manual',
    priority: 3,
    workerClass: null,
    dueAtMs: Date.UTC(2026, 0, 1),
  };
}

export function describeRunStarter(name: string, createFixture: () => Promise<RunStarterFixture>): void {
  describe(`the run starter ${name}`, () => {
    let fixture: RunStarterFixture;
    let starter: RunStarter;
    beforeAll(async () => {
      fixture = await createFixture();
      starter = fixture.starter;
    });
    afterAll(() => fixture.end());

    test('says whether a worker takes up runs, and the steps of a class', async () => {
      expect(await starter.hasWorker()).toBe(false);
      fixture.poll();
      await waitUntil('the worker is seen', () => starter.hasWorker());
      expect(await starter.hasWorker('eu')).toBe(false);
      fixture.poll('eu');
      await waitUntil('the worker of the class is seen', () => starter.hasWorker('eu'));
      expect(await starter.hasWorker('us')).toBe(false);
      await expect(fixture.unreachable.hasWorker()).rejects.toMatchObject({ code: 'ENGINE_UNREACHABLE' });
    });

    test('starts a run, which is open from then on', async () => {
      const run = newRunToStart();
      expect(await starter.describe(run.workflowId)).toEqual({ state: 'unknown', pausedSteps: [] });
      expect(await starter.start(run)).toBe('started');
      expect(await starter.describe(run.workflowId)).toEqual({ state: 'open', pausedSteps: [] });
    });

    test('finds a run that was started before, and starts no second workflow', async () => {
      const run = newRunToStart();
      await starter.start(run);
      expect(await starter.start(run)).toBe('already_started');
      expect(await starter.describe(run.workflowId)).toEqual({ state: 'open', pausedSteps: [] });
    });

    test('never starts a run again whose workflow is closed', async () => {
      const run = newRunToStart();
      await starter.start(run);
      await fixture.close(run.workflowId);
      expect(await starter.start(run)).toBe('already_started');
      expect(await starter.describe(run.workflowId)).toEqual({ state: 'closed', pausedSteps: [] });
    });

    test('starts a run once when many ask at the same moment', async () => {
      const run = newRunToStart();
      const answers = await Promise.all(Array.from({ length: 10 }, () => starter.start(run)));
      expect(answers.filter((answer) => answer === 'started').length).toBeLessThanOrEqual(1);
      expect(await starter.describe(run.workflowId)).toEqual({ state: 'open', pausedSteps: [] });
    });

    test('asks an open workflow to cancel, again if asked again', async () => {
      const run = newRunToStart();
      await starter.start(run);
      expect(await starter.cancel(run.workflowId)).toBe('asked');
      expect(await starter.cancel(run.workflowId)).toBe('asked');
    });

    test.each(['cancel', 'pause', 'resume'] as const)(
      'says that there is nothing to %s when there is no open workflow',
      async (verb) => {
        const run = newRunToStart();
        expect(await starter[verb](run.workflowId)).toBe('unknown');
        await starter.start(run);
        await fixture.close(run.workflowId);
        expect(await starter[verb](run.workflowId)).toBe('unknown');
      },
    );

    test('ends an open workflow at once, and leaves one that is closed, or was never there', async () => {
      const run = newRunToStart();
      await starter.terminate(run.workflowId);
      await starter.start(run);
      for (let time = 1; time <= 2; time += 1) {
        await starter.terminate(run.workflowId);
        expect(await starter.describe(run.workflowId)).toEqual({ state: 'closed', pausedSteps: [] });
      }
    });

    test.each(['start', 'describe', 'cancel', 'terminate', 'pause', 'resume'] as const)(
      'rejects %s with ENGINE_UNREACHABLE when the engine does not answer',
      async (verb) => {
        const run = newRunToStart();
        const { unreachable } = fixture;
        const asked = verb === 'start' ? unreachable.start(run) : unreachable[verb](run.workflowId);
        await expect(asked).rejects.toMatchObject({ code: 'ENGINE_UNREACHABLE' });
      },
    );
  });
}
