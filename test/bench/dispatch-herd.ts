/**
 * Very many schedules due at the same instant, and a real engine without a worker: how quickly all are started, against a
 * bare loop of starts and other schedulers, each on servers of its own; and again while the dispatcher is killed.
 * The engine says what was started, and when.
 *
 *   npm run bench dispatch-herd [-- --herd=10000 --turns=3 --kills=8 --schedules=1000]: so many Temporal Schedules
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Findings, SubjectResult } from './support/bench-report.ts';
import { type Bullmq, loadBullmq, startBullmq } from './support/bullmq-peer.ts';
import { type DispatchStage, onFreshStage } from './support/dispatch-stage.ts';
import {
  type EngineStart,
  findBestLoop,
  readStarts,
  startBare,
  type StartFigures,
  summarizeHerd,
  withEngine,
} from './support/engine-starts.ts';
import { numberFlag } from './support/flags.ts';
import { plantSchedules } from './support/planted-schedules.ts';
import { publishResult } from './support/publish-result.ts';
import { medianOf } from './support/take-turns.ts';
import { plantTemporalSchedules } from './support/temporal-schedules.ts';

const herd = numberFlag('herd', 10_000);
const turns = numberFlag('turns', 3);
const kills = numberFlag('kills', 8);
const schedules = numberFlag('schedules', 1_000);
/** So that those of a killed dispatcher are found again within the measured time. */
const ticketMs = 30_000;

interface Herd extends StartFigures {
  /** Workflows that should have begun and did not, and those that began more than once. */
  readonly lost: number;
  readonly doubled: number;
}

const judge = (starts: readonly EngineStart[], dueMs: number, count: number): Herd => {
  const distinct = new Set(starts.map(({ workflowId }) => workflowId)).size;
  return { ...summarizeHerd(starts, dueMs), lost: count - distinct, doubled: starts.length - distinct };
};

/** One herd on servers that know nothing yet. */
const onEngine = (measure: (stage: DispatchStage & { engineAddress: string }) => Promise<Herd>) =>
  onFreshStage((stage) => measure(stage as DispatchStage & { engineAddress: string }), { engine: true });

const bareLoop = (concurrency: number) =>
  onEngine(({ engineAddress }) =>
    withEngine(engineAddress, async (client) => {
      const dueMs = Date.now();
      await startBare(client, herd, concurrency);
      return judge(await readStarts(client, herd), dueMs, herd);
    }),
  );

/** @param killEveryMs null: nobody is killed */
const ours = (killEveryMs: number | null) =>
  onEngine(async (stage) => {
    const dueMs = Date.now() + 8_000 + herd * 0.3;
    await plantSchedules(stage.controlUrl, { count: herd, fromMs: dueMs, apartMs: 0, everySeconds: null });
    const options = killEveryMs === null ? {} : { ticketMs };
    let dispatcher = await stage.startDispatcher(options);
    if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
    await stage.until(dueMs);
    for (let left = killEveryMs === null ? 0 : kills; left > 0; left--) {
      await sleep(killEveryMs!);
      await dispatcher.kill();
      dispatcher = await stage.startDispatcher(options);
    }
    const starts = await withEngine(stage.engineAddress, (client) => readStarts(client, herd));
    await dispatcher.stop();
    return judge(starts, dueMs, herd);
  });

const temporalSchedules = () =>
  onEngine(({ engineAddress, log, until }) =>
    withEngine(engineAddress, async (client) => {
      // In whole seconds, and late enough for all to be there.
      const dueMs = Math.ceil(Date.now() / 1_000) * 1_000 + 30_000 + schedules * 100;
      await plantTemporalSchedules(client, schedules, dueMs);
      log(`${schedules} Temporal Schedules planted, ${(dueMs - Date.now()) / 1_000} s to spare`);
      await until(dueMs);
      return judge(await readStarts(client, schedules), dueMs, schedules);
    }),
  );

const bullmqSchedulers = (bullmq: Bullmq, concurrency: number) =>
  onEngine(({ engineAddress, redisUrl, until }) =>
    withEngine(engineAddress, async (client) => {
      const dueMs = Math.ceil(Date.now() / 1_000) * 1_000 + 10_000 + herd * 2;
      const close = await startBullmq(bullmq, { redisUrl, client, count: herd, dueMs, concurrency });
      if (Date.now() > dueMs) throw new Error('it took too long: they were due meanwhile');
      await until(dueMs);
      const starts = await readStarts(client, herd);
      await close();
      return judge(starts, dueMs, herd);
    }),
  );

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const best = await onFreshStage(
  ({ engineAddress }) => withEngine(engineAddress!, (c) => findBestLoop(c, Math.min(herd, 500))),
  {
    engine: true,
  },
);
const { concurrency, startsPerSecond } = best.result;
log(`a bare loop is fastest with ${concurrency} calls at once: ${startsPerSecond.toFixed(0)} a second`);
const killEveryMs = ((herd / startsPerSecond) * 1_000) / (kills + 1);

const subjects = {
  'bare-start-loop': () => bareLoop(concurrency),
  penstock: () => ours(null),
  'penstock (killed)': () => ours(killEveryMs),
};
type Name = keyof typeof subjects | 'bullmq' | 'temporal-schedules';
const herds = new Map<Name, Herd[]>();
const note = (name: Name, one: Herd): void => {
  herds.set(name, [...(herds.get(name) ?? []), one]);
  const { seconds, lost, doubled, lagMs } = one;
  log(`${name}: ${seconds[0]!.toFixed(1)} s, p99 ${lagMs.p99} ms, ${lost} lost, ${doubled} doubled`);
};
for (let turn = 1; turn <= turns; turn++)
  for (const [name, run] of Object.entries(subjects)) note(name as Name, (await run()).result);
const bullmq = await loadBullmq();
if (bullmq) note('bullmq', (await bullmqSchedulers(bullmq, concurrency)).result);
else log('bullmq: absent');
note('temporal-schedules', (await temporalSchedules()).result);

const results = new Map([...herds].map(([name, all]) => [name, resultOf(name, all)]));
publishResult(findings(), best.versions);

/** The turn whose time is the median. */
function resultOf(subject: Name, all: readonly Herd[]): SubjectResult {
  const seconds = all.flatMap((one) => one.seconds);
  const middle = all.find((one) => one.seconds[0] === medianOf(seconds))!;
  const { startsPerSecond: rate, lagMs } = middle;
  const unknown = { rssMiB: null, rssIdleMiB: null, cpuSeconds: null };
  return { subject, runs: all.length, startsPerSecond: rate, lagMs, seconds, ...unknown };
}

function findings(): Findings {
  const rate = (name: Name): number => results.get(name)!.startsPerSecond!;
  const ratio = rate('penstock') / rate('bare-start-loop');
  const sum = (of: 'lost' | 'doubled'): number =>
    [...(herds.get('penstock') ?? []), ...(herds.get('penstock (killed)') ?? [])].reduce(
      (total, one) => total + one[of],
      0,
    );
  return {
    name: 'dispatch-herd',
    rows: herd,
    subjects: [...results.values()],
    bars: [
      { bar: 'starts/s ÷ bare-start-loop', wanted: '≥ 0.9', measured: ratio, holds: ratio >= 0.9 },
      { bar: 'lost', wanted: '0', measured: sum('lost'), holds: sum('lost') === 0 },
      { bar: 'doubled', wanted: '0', measured: sum('doubled'), holds: sum('doubled') === 0 },
    ],
  };
}
