/**
 * How soon a run's answer says what was done to it: through the API, and in Temporal behind our back, where a dispatcher has
 * to see it. Each run copies batches of 0.2 s all the while.
 *
 *   npm run bench steer [-- --times=20]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client as Engine } from '@temporalio/client';
import type { RunAnswer, RunHandle } from '../../src/client/index.ts';
import { resetWorkflow } from '../support/reset-workflow.ts';
import { atMost, type SubjectResult } from './support/bench-report.ts';
import { createDueSyncs, type DueSyncs } from './support/due-syncs.ts';
import { withEngine } from './support/engine-starts.ts';
import { numberFlag } from './support/flags.ts';
import { publishResult } from './support/publish-result.ts';
import { onRunStage } from './support/run-stage.ts';
import { execute } from './support/servers.ts';
import { quantileOf } from './support/take-turns.ts';

/** Each through the API, one after the other. */
const times = numberFlag('times', 20);
/** Runs that each thing in Temporal is done to, all at the same time: each takes a minute. */
const behind = 4;
const rows = 50_000;
const batchRows = 20;
const lookEveryMs = 20;
const giveUpMs = 90_000;

const ours = ['pause', 'resume', 'cancel'] as const;
const theirs = ['terminate', 'reset', 'pause an activity', 'unpause an activity'] as const;
type Act = (typeof ours)[number] | (typeof theirs)[number];

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const found = new Map<Act, number[]>();

/** Acts, and looks until the answer is right. */
async function measure(
  act: Act,
  run: RunHandle,
  { call, isRight }: { call: () => Promise<unknown>; isRight: (run: RunAnswer) => boolean },
): Promise<void> {
  const startedMs = performance.now();
  await call();
  await until(run, isRight);
  const ms = performance.now() - startedMs;
  log(`${act}: ${ms.toFixed(0)} ms`);
  found.set(act, [...(found.get(act) ?? []), ms]);
}

async function until(run: RunHandle, isRight: (run: RunAnswer) => boolean): Promise<RunAnswer> {
  const endMs = performance.now() + giveUpMs;
  for (;;) {
    const answer = await run.fetch();
    if (isRight(answer)) return answer;
    if (performance.now() > endMs) throw new Error(`run ${run.id} is ${answer.status} and stays so`);
    await sleep(lookEveryMs);
  }
}

const is =
  (status: RunAnswer['status']) =>
  (run: RunAnswer): boolean =>
    run.status === status;
const hasMoved =
  (batches: number) =>
  ({ status, progress }: RunAnswer): boolean =>
    status === 'running' && progress.batches > batches;

async function startRun({ api, ids }: DueSyncs, n: number): Promise<RunHandle> {
  const run = await api.syncs.trigger(ids[n]!);
  await until(run, hasMoved(0));
  return run;
}

async function steerThroughApi(syncs: DueSyncs): Promise<void> {
  for (let n = 0; n < times; n++) {
    const run = await startRun(syncs, 0);
    await measure('pause', run, { call: () => run.pause(), isRight: is('paused') });
    const { progress } = await run.fetch();
    await measure('resume', run, { call: () => run.resume(), isRight: is('running') });
    await until(run, hasMoved(progress.batches));
    await measure('cancel', run, { call: () => run.cancel(), isRight: is('cancelled') });
  }
}

async function steerInTemporal(syncs: DueSyncs, engine: Engine): Promise<void> {
  const each = Array.from({ length: behind }, (_, n) => n * 3 + 1);
  await Promise.all(
    each.flatMap((n) => [
      terminate(syncs, n, engine),
      reset(syncs, n + 1, engine),
      pauseActivity(syncs, n + 2, engine),
    ]),
  );
}

async function terminate(syncs: DueSyncs, n: number, engine: Engine): Promise<void> {
  const run = await startRun(syncs, n);
  const { workflowId } = await run.fetch();
  const call = () => engine.workflow.getHandle(workflowId).terminate('by the benchmark');
  await measure('terminate', run, { call, isRight: is('failed') });
}

async function reset(syncs: DueSyncs, n: number, engine: Engine): Promise<void> {
  const run = await startRun(syncs, n);
  const { workflowId, attempts } = await run.fetch();
  await measure('reset', run, {
    call: () => resetWorkflow(engine, workflowId),
    isRight: (answer) => answer.attempts > attempts && answer.status === 'running',
  });
}

async function pauseActivity(syncs: DueSyncs, n: number, engine: Engine): Promise<void> {
  const run = await startRun(syncs, n);
  const { workflowId } = await run.fetch();
  const activity = { namespace: 'default', execution: { workflowId }, type: 'copyPartition' };
  await measure('pause an activity', run, {
    call: () => engine.workflowService.pauseActivity({ ...activity, identity: 'bench' }),
    isRight: ({ pausedSteps }) => pausedSteps.length > 0,
  });
  await measure('unpause an activity', run, {
    call: () => engine.workflowService.unpauseActivity(activity),
    isRight: ({ pausedSteps }) => pausedSteps.length === 0,
  });
}

const slowTable = (n: number): string =>
  `create table due_${n} (id integer primary key, label text);
   create trigger slow after insert on due_${n} for each statement execute function slow()`;

const { versions } = await onRunStage(1 + 3 * behind, async (stack) => {
  const syncs = await createDueSyncs(stack, {
    count: 1 + 3 * behind,
    source: `create table numbered as select id, 'user ' || id as label from generate_series(1, ${rows}) id;
      alter table numbered add primary key (id)`,
    query: 'select id, label from numbered',
    batchRows,
  });
  await execute(
    stack.servers.postgres.urlOf('bench_destination'),
    `create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return null; end'`,
    ...syncs.ids.map((_, n) => slowTable(n)),
  );
  await steerThroughApi(syncs);
  await withEngine(stack.addresses().temporalAddress, (engine) => steerInTemporal(syncs, engine));
});

const subjects = [...ours, ...theirs].map((act): SubjectResult => {
  const all = found.get(act)!;
  return {
    subject: (ours as readonly Act[]).includes(act) ? act : `${act}, in Temporal`,
    runs: all.length,
    shownMs: { p50: quantileOf(all, 0.5), p99: quantileOf(all, 0.99), most: quantileOf(all, 1) },
    seconds: [],
    rssMiB: null,
    rssIdleMiB: null,
    cpuSeconds: null,
  };
});
publishResult(
  {
    name: 'steer',
    rows: times,
    rowsAre: `times each through the API, ${behind} in Temporal`,
    subjects,
    bars: subjects.map(({ subject, shownMs }, n) =>
      atMost(`${subject}: most, s`, n < ours.length ? 2 : 60, shownMs!.most / 1_000),
    ),
  },
  versions,
);
