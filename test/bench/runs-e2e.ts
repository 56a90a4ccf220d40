/**
 * Many empty syncs due at one instant, from there to the last receipt, in the whole product; against bare workflows of as
 * many activities on the same Temporal, with a worker of their own. What each process takes of the machine says where the
 * time goes.
 *
 *   npm run bench runs-e2e [-- --runs=200 --turns=3 --places=32]
 */
import type { SubjectResult } from './support/bench-report.ts';
import { startBareRuns } from './support/bare-runs.ts';
import { createDueSyncs, emptySyncs } from './support/due-syncs.ts';
import { withEngine } from './support/engine-starts.ts';
import { numberFlag } from './support/flags.ts';
import { publishResult } from './support/publish-result.ts';
import { cpuPerRun, type CpuSeconds, onRunStage, readCpu } from './support/run-stage.ts';
import { medianOf } from './support/take-turns.ts';

const runs = numberFlag('runs', 200);
const turns = numberFlag('turns', 3);
const places = numberFlag('places', 32);
/** Of the bare loop. */
const startsAtOnce = 16;

interface Turn {
  readonly seconds: number;
  readonly cpu: CpuSeconds;
}

const log = (line: string): void => void process.stderr.write(`${line}\n`);

const { result, versions } = await onRunStage(places, (stack) => {
  const {
    temporalAddress,
    pids: { temporal = [] },
  } = stack.addresses();
  return withEngine(temporalAddress, async (client) => {
    const syncs = await createDueSyncs(stack, emptySyncs(runs));
    const bare = await startBareRuns(client, temporalAddress);
    const measured = async (
      name: string,
      pids: Readonly<Record<string, readonly number[]>>,
      work: () => Promise<{ seconds: number }>,
    ): Promise<Turn> => {
      const before = readCpu(pids);
      const { seconds } = await work();
      const cpu = cpuPerRun(before, readCpu(pids), runs);
      log(`${name}: ${(runs / seconds).toFixed(1)} runs/s; ms of CPU a run: ${JSON.stringify(cpu)}`);
      return { seconds, cpu };
    };
    const ours = () => {
      const { worker = [], dispatcher: starter = [], postgres = [], redis = [] } = stack.addresses().pids;
      return measured('penstock', { worker, starter, temporal, postgres, redis }, syncs.runAll);
    };
    const theirs = () => {
      const pids = { worker: [bare.workerPid], starter: [process.pid], temporal };
      return measured('bare', pids, async () => ({ seconds: await bare.runAll(runs, startsAtOnce) }));
    };
    // The first creates the tables, and warms both workers.
    await ours();
    await theirs();
    const found = { penstock: [] as Turn[], 'bare-workflow': [] as Turn[] };
    for (let turn = 0; turn < turns; turn++) {
      found.penstock.push(await ours());
      found['bare-workflow'].push(await theirs());
    }
    await bare.stop();
    return found;
  });
});

const [ours, theirs] = Object.entries(result).map(([name, all]) => subjectOf(name, all));
const ratio = ours!.runsPerSecond! / theirs!.runsPerSecond!;
publishResult(
  {
    name: 'runs-e2e',
    rows: runs,
    rowsAre: 'empty syncs due at once',
    subjects: [ours!, theirs!],
    bars: [{ bar: 'runs/s ÷ bare-workflow', wanted: '≥ 0.8', measured: ratio, holds: ratio >= 0.8 }],
  },
  versions,
);

function subjectOf(subject: string, all: readonly Turn[]): SubjectResult {
  const seconds = all.map((turn) => turn.seconds);
  const median = medianOf(seconds)!;
  return {
    subject,
    runs: all.length,
    runsPerSecond: runs / median,
    seconds,
    cpuPerRunMs: all.find((turn) => turn.seconds === median)!.cpu,
    rssMiB: null,
    rssIdleMiB: null,
    cpuSeconds: null,
  };
}
