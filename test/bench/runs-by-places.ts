/**
 * How many places (`PENSTOCK_WORKER_SLOTS`) one worker should have: empty syncs due at one instant, with so many at work at
 * once. And what one worker's memory is when 100 runs copy at the same time.
 *
 *   npm run bench runs-by-places [-- --runs=60 --least=2 --most=64 --concurrent=100]
 */
import { atMost, type SubjectResult } from './support/bench-report.ts';
import { concurrentSyncs, createDueSyncs, emptySyncs } from './support/due-syncs.ts';
import { numberFlag } from './support/flags.ts';
import { forgetPeak, readMemory } from './support/process-usage.ts';
import { publishResult } from './support/publish-result.ts';
import { onRunStage } from './support/run-stage.ts';

const runs = numberFlag('runs', 60);
const least = numberFlag('least', 2);
const most = numberFlag('most', 64);
const concurrent = numberFlag('concurrent', 100);
const rowsOfEach = 20_000;

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const unknown = { rssMiB: null, rssIdleMiB: null, cpuSeconds: null };

const subjects: SubjectResult[] = [];
for (let places = least; places <= most; places *= 2) {
  const { result } = await onRunStage(places, async (stack) => {
    const syncs = await createDueSyncs(stack, emptySyncs(runs));
    // The first creates the tables.
    await syncs.runAll();
    return await syncs.runAll();
  });
  log(`${places} places: ${(runs / result.seconds).toFixed(1)} runs/s`);
  subjects.push({
    ...unknown,
    subject: `penstock (${places} places)`,
    runs: 1,
    runsPerSecond: runs / result.seconds,
    seconds: [result.seconds],
  });
}

const { result: memory, versions } = await onRunStage(concurrent, async (stack) => {
  const [worker] = stack.addresses().pids['worker']!;
  const syncs = await createDueSyncs(stack, concurrentSyncs(concurrent, concurrent * 0.3, rowsOfEach));
  const idleMiB = readMemory(worker!)?.nowMiB ?? null;
  forgetPeak(worker!);
  const ended = await syncs.runAll();
  return { ...ended, idleMiB, peakMiB: readMemory(worker!)?.peakMiB ?? null };
});
log(`${memory.mostAtOnce} at once: ${memory.peakMiB?.toFixed(0)} MiB`);
const { mostAtOnce, idleMiB: rssIdleMiB, peakMiB: rssMiB, seconds } = memory;
publishResult(
  {
    name: 'runs-by-places',
    rows: runs,
    rowsAre: 'empty syncs due at once',
    subjects: [
      ...subjects,
      {
        ...unknown,
        subject: `penstock (${mostAtOnce} at once, ${rowsOfEach} rows each)`,
        runs: 1,
        seconds: [seconds],
        rssIdleMiB,
        rssMiB,
      },
    ],
    bars: [
      {
        bar: 'runs at once',
        wanted: `≥ ${concurrent}`,
        measured: mostAtOnce,
        holds: mostAtOnce >= concurrent,
      },
      atMost(`worker RSS with ${concurrent} runs at once, MiB`, 512, rssMiB),
    ],
  },
  versions,
);
