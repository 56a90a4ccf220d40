/**
 * One tenant has very many runs due at an instant and 99 others have ten each, in a real engine without a worker: how long
 * the others wait. With equal shares the last of them is among the first thousand starts.
 *
 *   npm run bench dispatch-fair [-- --large=10000]
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { atMost } from './support/bench-report.ts';
import type { CountedStart } from './support/counting-dispatcher.ts';
import { onFreshStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { summarizeStarts } from './support/measured-dispatcher.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { publishResult } from './support/publish-result.ts';

const large = numberFlag('large', 10_000);
const [others, each] = [99, 10];

const { result, versions } = await onFreshStage(
  async (stage) => {
    const dueMs = Date.now() + 10_000 + large * 0.3;
    const due = { fromMs: dueMs, apartMs: 0, everySeconds: null };
    await plantSchedules(stage.controlUrl, { ...due, count: large, tenants: 1 });
    const small = await plantSchedules(stage.controlUrl, { ...due, count: others * each, tenants: others });
    const dispatcher = await stage.startDispatcher();
    if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
    await stage.until(dueMs);
    const starts: CountedStart[] = [];
    const ofOthers = (): CountedStart[] => starts.filter(({ tenantId }) => small.has(tenantId));
    while (ofOthers().length < others * each) {
      await sleep(500);
      starts.push(...(await dispatcher.listStarts()));
    }
    await dispatcher.stop();
    return { small: ofOthers(), all: starts };
  },
  { engine: true },
);

const [small, all] = [summarizeStarts(result.small), summarizeStarts(result.all)];
const single = { runs: 1, rssMiB: null, rssIdleMiB: null, cpuSeconds: null };
publishResult(
  {
    name: 'dispatch-fair',
    rows: large + others * each,
    subjects: [
      { ...single, subject: `${others} tenants, ${each} each`, ...small.figures, seconds: [small.seconds] },
      { ...single, subject: 'all, meanwhile', ...all.figures, seconds: [all.seconds] },
    ],
    bars: [
      atMost(
        'starts until 99 % of theirs, by those of equal shares',
        1.2,
        startsUntil(small.figures.lagMs.p99) / ((others + 1) * each),
      ),
    ],
  },
  versions,
);

function startsUntil(lagMs: number): number {
  return result.all.filter(({ atMs, dueMs }) => atMs - dueMs <= lagMs).length;
}
