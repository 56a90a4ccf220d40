/**
 * How late runs are started in a real engine without a worker, when as many fall due as is half of what a bare loop of
 * starts reaches in the same run; with few schedules and with very many.
 *
 *   npm run bench dispatch-lag [-- --most=1000000 --seconds=60]: 10,000, 100,000 … schedules, up to so many
 */
import { atMost, type SubjectResult } from './support/bench-report.ts';
import { type DispatchStage, onFreshStage } from './support/dispatch-stage.ts';
import { findBestLoop, withEngine } from './support/engine-starts.ts';
import { numberFlag } from './support/flags.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { publishResult } from './support/publish-result.ts';

const most = numberFlag('most', 1_000_000);
const seconds = numberFlag('seconds', 60);
const counts = [10_000, 100_000, 1_000_000].filter((count) => count <= most);
const inEngine = { engine: true };

const bare = await onFreshStage(
  ({ engineAddress }) => withEngine(engineAddress!, (client) => findBestLoop(client, 500)),
  inEngine,
);
const perSecond = bare.result.startsPerSecond / 2;
process.stderr.write(`a bare loop starts ${(perSecond * 2).toFixed(0)} a second\n`);

const subjects: SubjectResult[] = [];
for (const count of counts)
  subjects.push((await onFreshStage((stage) => measure(stage, count), inEngine)).result);
publishResult(
  {
    name: 'dispatch-lag',
    rows: counts.at(-1)!,
    subjects,
    bars: subjects.map(({ subject, lagMs }) => atMost(`p99 of start − due, ms: ${subject}`, 250, lagMs!.p99)),
  },
  bare.versions,
);

async function measure(stage: DispatchStage, count: number): Promise<SubjectResult> {
  // Planting and filling the index take longer the more there are.
  const firstMs = Date.now() + 15_000 + count * 0.16;
  await plantSchedules(stage.controlUrl, {
    count,
    fromMs: firstMs,
    apartMs: 1_000 / perSecond,
    everySeconds: Math.ceil(count / perSecond),
  });
  const dispatcher = await stage.startDispatcher();
  if (Date.now() > firstMs) throw new Error('it took too long: the first were due meanwhile');
  await stage.until(firstMs + seconds * 1_000);
  const { figures } = await dispatcher.takeStarts();
  const memory = dispatcher.readMemory();
  await dispatcher.stop();
  return {
    subject: `penstock (${count.toLocaleString('en-US')} schedules)`,
    runs: 1,
    ...figures,
    seconds: [seconds],
    rssMiB: memory?.peakMiB ?? null,
    rssIdleMiB: null,
    cpuSeconds: null,
  };
}
