/**
 * The scheduler without an engine: how late it starts what falls due all the time, how fast what falls due at once, and what
 * it takes while nothing does. Due times are compared with starts on one machine's clock.
 *
 *   npm run bench dispatch-alone [-- --schedules=1000000 --herd=100000 --seconds=40]: 500 of them due per second
 */
import { atMost } from './support/bench-report.ts';
import { measureClaims, onDispatchStage } from './support/dispatch-stage.ts';
import { numberFlag } from './support/flags.ts';
import { plantSchedules } from './support/planted-schedules.ts';

const schedules = numberFlag('schedules', 1_000_000);
const herd = numberFlag('herd', 100_000);
const seconds = numberFlag('seconds', 40);
const perSecond = 500;
const idleSeconds = 15;
/** Until the index is full and idle processes were watched; planting and refilling take longer the more there are. */
const settlingMs = 25_000 + schedules * 0.16;

await onDispatchStage(async (stage) => {
  const firstMs = Date.now() + settlingMs;
  const herdMs = firstMs + (seconds + 10) * 1_000;
  stage.log(`planting ${schedules.toLocaleString('en-US')} schedules …`);
  const steady = schedules - herd;
  await plantSchedules(stage.controlUrl, {
    count: steady,
    fromMs: firstMs,
    apartMs: 1_000 / perSecond,
    everySeconds: Math.ceil(steady / perSecond),
  });
  await plantSchedules(stage.controlUrl, {
    count: herd,
    fromMs: herdMs,
    apartMs: 1_000 / herd,
    everySeconds: null,
  });
  const emptyMiB = await stage.readIndexMiB();
  const dispatcher = await stage.startDispatcher();
  const indexMiB = (await stage.readIndexMiB()) - emptyMiB;
  const { filledSeconds } = dispatcher;
  stage.log(`filled in ${filledSeconds.toFixed(1)} s; ${(firstMs - Date.now()) / 1_000} s to spare`);
  if (Date.now() + idleSeconds * 1_000 > firstMs)
    throw new Error('it took too long: the first were due meanwhile');
  const idle = await dispatcher.watchCpu(idleSeconds);

  await stage.until(firstMs + seconds * 1_000);
  const even = await dispatcher.takeStarts();

  await stage.until(herdMs);
  const rushed = await dispatcher.takeStartsUntil(herd, herdMs);
  const usage = dispatcher.readMemory();
  await dispatcher.stop();
  const claims = await measureClaims(stage, herd);

  const single = { runs: 1, rssMiB: null, rssIdleMiB: null, cpuSeconds: null };
  const ours = { ...single, rssMiB: usage?.peakMiB ?? null };
  const { startsPerSecond } = rushed.figures;
  return {
    name: 'dispatch-alone',
    rows: schedules,
    subjects: [
      { ...ours, subject: `penstock (${perSecond} a second)`, ...even.figures, seconds: [seconds] },
      { ...ours, subject: `penstock (${herd} at once)`, ...rushed.figures, seconds: [rushed.seconds] },
      { ...single, subject: 'claim script alone', startsPerSecond: herd / claims, seconds: [claims] },
      { ...ours, subject: 'refill', startsPerSecond: schedules / filledSeconds, seconds: [filledSeconds] },
    ],
    bars: [
      atMost('p99 of start − due, ms', 250, even.figures.lagMs.p99),
      {
        bar: 'runs/s in the herd',
        wanted: '≥ 2000',
        measured: startsPerSecond,
        holds: startsPerSecond >= 2_000,
      },
      atMost('index, MiB', 250, indexMiB),
      atMost('idle CPU of the dispatcher, %', 2, idle.dispatcher),
      atMost('idle CPU of Redis, %', 2, idle.redis),
    ],
  };
});
