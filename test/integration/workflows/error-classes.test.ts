/**
 * What a run does about every code of the error table, on a real Temporal, with the real activities over ports that fail:
 * what somebody has to mend ends it at once, with the cure; what passes by itself is tried again, and shown meanwhile.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { ApplicationFailure } from '@temporalio/common';
import { createCopyActivities, createRunActivities } from '../../../src/activities/create-activities.ts';
import type { ActivityDeps } from '../../../src/activities/deps.ts';
import { cureOf, PenstockError, retryClassOf, type ErrorCode } from '../../../src/domain/errors.ts';
import type { RunId } from '../../../src/domain/ids.ts';
import type { RunStatus } from '../../../src/domain/run-states.ts';
import { syncSpecSchema } from '../../../src/domain/sync-spec.ts';
import type { RunStep, RunStore, RunWork } from '../../../src/ports/run-store.ts';
import type { RunProgress } from '../../../src/workflows/run-progress.ts';
import { createKeptLogger } from '../../support/kept-logger.ts';
import {
  detailsOf,
  openRunEngine,
  plannedRun,
  readyRun,
  scriptedActivities,
  startRun,
  type RunEngine,
} from '../../support/run-engine.ts';
import { waitUntil } from '../../support/wait-until.ts';

type Step = 'prepare' | 'copy' | 'finish';

/** A run and what it meets: at that step first the one error, then the other. */
interface Story {
  step: Step;
  /** Its last error comes no sooner. */
  lastAfter: Promise<void>;
  errors: ErrorCode[];
  /** What the control database heard of it. */
  noted: string[];
  failed?: { code: string; message: string };
  status: RunStatus;
}

const stories = new Map<string, Story>();
const storyOf = (runId: string): Story => stories.get(runId)!;

const spec = syncSpecSchema.parse({
  name: 'numbers',
  mode: 'append',
  key: ['id'],
  source: { connection: 'source', query: 'select 1 as id' },
  destination: { connection: 'destination', table: 'synced.numbers' },
});

/** The next error of the run; ports are opened by the access of one end, which names the run here. */
const failNext = ({ connectionId }: { connectionId: string }): never => {
  const code = storyOf(connectionId).errors.shift();
  throw new PenstockError(code ?? 'RUN_FINAL', 'by the test');
};

const isTurnOfNext = async (runId: RunId): Promise<void> => {
  const { errors, lastAfter } = storyOf(runId);
  if (errors.length === 1) await lastAfter;
};

const workOf = (runId: RunId): RunWork => {
  const end = { connectionId: runId } as unknown as RunWork['source'];
  return { runId, spec, status: storyOf(runId).status, source: end, destination: end } as RunWork;
};

const note = (runId: string, step: RunStep, code: string) =>
  void storyOf(runId).noted.push(`${step} ${code}`);

const runs: Partial<RunStore> = {
  prepare: async (runId) => {
    await isTurnOfNext(runId);
    return workOf(runId);
  },
  fetchWork: async (runId) => workOf(runId),
  noteRetry: async (runId, step, { code }) => note(runId, step, code),
  beginAttempt: async ({ runId }) => {
    await isTurnOfNext(runId);
    return { work: workOf(runId), share: null };
  },
  endAttempt: async ({ runId, partition }, { error }) => {
    if (error?.class === 'transient') note(runId, `partition ${partition}`, error.code);
  },
};

const deps: ActivityDeps = {
  runs: runs as RunStore,
  openSource: failNext,
  openDestination: failNext,
  drain: new AbortController().signal,
  rowTimeoutMs: 1_000,
  workerName: 'test',
  logger: createKeptLogger().logger,
};

let engine: RunEngine;
beforeAll(async () => {
  engine = await openRunEngine();
  const real = { ...createRunActivities(deps), ...createCopyActivities(deps) };
  const { activities } = scriptedActivities({
    prepareRun: async (input) => {
      const { step, status } = storyOf(input.runId);
      if (step === 'prepare') return real.prepareRun(input);
      return status === 'running' ? readyRun() : { ready: false, status };
    },
    copyPartition: (input) =>
      storyOf(input.runId).step === 'copy' ? real.copyPartition(input) : scripted.copyPartition(input),
    finishRun: (input) => real.finishRun(input),
    failRun: async ({ runId, failure }) => {
      storyOf(runId).failed = failure;
      return { status: 'failed' };
    },
  });
  const { activities: scripted } = scriptedActivities();
  await engine.startWorkers(activities);
});
afterAll(() => engine?.close());

async function begin(step: Step, errors: ErrorCode[], lastAfter = Promise.resolve()) {
  const run = plannedRun();
  const story: Story = { step, errors, lastAfter, noted: [], status: 'running' };
  stories.set(run.runId, story);
  const handle = await startRun(engine, run);
  const failure = (): Promise<{ type: string; message: string } | undefined> =>
    handle.result().then(
      () => undefined,
      ({ cause }: { cause: ApplicationFailure }) => ({ type: cause.type!, message: cause.message }),
    );
  return { run, story, handle, failure };
}

/** What copies meet, of both kinds; the whole table is gone through where it is told apart (to-failure.test.ts). */
const codes = {
  never: [
    'SOURCE_AUTH',
    'SOURCE_PERMISSION',
    'SOURCE_SQL',
    'DESTINATION_AUTH',
    'DESTINATION_PERMISSION',
    'TARGET_MISMATCH',
    'VALUE_REFUSED',
    'KEY_NULL',
    'FORBIDDEN',
  ],
  backoff: [
    'SOURCE_UNREACHABLE',
    'SOURCE_THROTTLED',
    'DESTINATION_UNREACHABLE',
    'DESTINATION_BUSY',
    'DESTINATION_FULL',
    'TARGET_LOCKED',
    'UNAVAILABLE',
    'INTERNAL',
  ],
} as const satisfies Record<string, readonly ErrorCode[]>;

test('the table says of each what is expected here', () => {
  for (const [wanted, some] of Object.entries(codes))
    expect(some.map((code) => [code, retryClassOf(code)])).toEqual(some.map((code) => [code, wanted]));
});

const eachCode = <T>(met: readonly ErrorCode[], play: (code: ErrorCode) => Promise<T>): Promise<T[]> =>
  Promise.all(met.map(play));

describe.each(['prepare', 'copy', 'finish'] as const)('at %s', (step) => {
  // All where most of them arise, elsewhere some.
  const some = (wanted: keyof typeof codes) => codes[wanted].slice(0, step === 'copy' ? undefined : 2);
  const shownStep = step === 'copy' ? 'partition 1' : step;

  test('what somebody has to mend ends the run at once, and says how', async () => {
    const met = some('never');
    const ends = await eachCode(met, async (code) => {
      const { story, failure } = await begin(step, [code, 'INTERNAL']);
      return {
        code,
        end: await failure(),
        failed: story.failed,
        left: story.errors.length,
        noted: story.noted,
      };
    });
    expect(ends).toEqual(
      met.map((code) => ({
        code,
        end: { type: code, message: `by the test. ${cureOf(code)}` },
        failed: { code, message: 'by the test' },
        left: 1,
        noted: [],
      })),
    );
  });

  test('what passes by itself is tried again, and noted by its step', async () => {
    const met = some('backoff');
    const ends = await eachCode(met, async (code) => {
      const { story, failure } = await begin(step, [code, 'SOURCE_SQL']);
      return { code, end: (await failure())?.type, noted: story.noted };
    });
    expect(ends).toEqual(met.map((code) => ({ code, end: 'SOURCE_SQL', noted: [`${shownStep} ${code}`] })));
  });
});

describe('until a try gets further', () => {
  let haveSeen: () => void;
  let isSeen: Promise<void>;
  beforeEach(() => {
    isSeen = new Promise((resolve) => (haveSeen = resolve));
  });

  test('a copy shows it in the current details, and as an answer to programs', async () => {
    const errors: ErrorCode[] = ['DESTINATION_FULL', 'SOURCE_UNREACHABLE', 'SOURCE_SQL'];
    const { handle, failure } = await begin('copy', errors, isSeen);
    let shown: RunProgress['failure'];
    await waitUntil('it waits for the second time', async () => {
      shown = (await handle.query<RunProgress>('progress')).failure;
      return shown?.times === 2;
    });
    expect(shown).toMatchObject({ code: 'SOURCE_UNREACHABLE', message: 'by the test' });
    expect(await detailsOf(handle)).toContain(
      `\`SOURCE_UNREACHABLE\` by the test — failed 2 × in a row, next try at ${shown!.retryAt}`,
    );
    haveSeen();
    expect(await failure()).toMatchObject({ type: 'SOURCE_SQL' });
  });

  test('any other step shows it as a pending activity, once it is one', async () => {
    const errors: ErrorCode[] = ['SOURCE_THROTTLED', 'SOURCE_UNREACHABLE', 'SOURCE_SQL'];
    const { handle, failure } = await begin('prepare', errors, isSeen);
    await waitUntil('it is tried again', async () => {
      const pending = (await handle.describe()).raw.pendingActivities?.[0];
      return (
        pending?.lastFailure?.applicationFailureInfo?.type === 'SOURCE_UNREACHABLE' && pending.attempt === 2
      );
    });
    haveSeen();
    expect(await failure()).toMatchObject({ type: 'SOURCE_SQL' });
  });
});

test.each(['FENCED', 'RUN_FINAL'] as const)(
  'an attempt that is replaced says nothing: prepare tells what is (%s)',
  async (code) => {
    const { story, handle } = await begin('copy', [code]);
    await waitUntil('it was replaced', () => story.errors.length === 0);
    story.status = 'failed';
    expect(await handle.result()).toMatchObject({ status: 'failed' });
    expect([story.noted, story.failed]).toEqual([[], undefined]);
  },
);
